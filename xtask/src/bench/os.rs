//! The few system calls of the bench that the standard library does not have.
#![expect(
    unsafe_code,
    reason = "scheduling, mappings, resource usage and dlopen are only reachable through libc"
)]

use crate::shell::Outcome;
use std::{
    ffi::{CStr, CString},
    io, mem,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::{Child, Command},
    ptr,
    time::Duration,
};

/// The harness, and the target's waiting threads, which inherit it.
pub const HARNESS_PRIORITY: i32 = 1;
/// Above the threads it shares a process with.
pub const SAMPLER_PRIORITY: i32 = 2;
/// That of the target's waiting threads: to one that is above them, giving way (sched_yield(2)) means nothing, so they would
/// never stop while it looks for them.
pub const DUMPER_PRIORITY: i32 = HARNESS_PRIORITY;

/// What a finished dumper used.
#[derive(Debug)]
pub struct Usage {
    /// Did it end by itself, without an error?
    pub success: bool,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// User and system time.
    pub cpu: Duration,
    /// Peak resident memory, in bytes.
    pub peak_rss: u64,
}

/// Another real-time priority for the calling thread, if the harness has one, which it inherits to all it starts.
fn change_priority(priority: i32) -> bool {
    // SAFETY: thread 0 is the calling one; the call takes a number.
    let inherited = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_FIFO;
    inherited && set_scheduler(libc::SCHED_FIFO, priority)
}

/// Takes the calling thread's real-time priority away.
pub fn become_ordinary() {
    set_scheduler(libc::SCHED_OTHER, 0);
}

/// `SCHED_FIFO` priority of the calling thread, and of the threads and processes it starts, until this is dropped:
/// whatever the caller starts afterwards must not inherit it, because a busy program that has it leaves nothing to the
/// rest of the machine.
#[derive(Debug)]
pub struct RealTime {
    granted: bool,
}

impl RealTime {
    /// Asks for it. Granted on two processors or more, because such a thread leaves nothing to others, and with
    /// `CAP_SYS_NICE`.
    pub fn ask(priority: i32) -> Self {
        Self { granted: processors() > 1 && set_scheduler(libc::SCHED_FIFO, priority) }
    }

    /// Asks for nothing.
    pub fn none() -> Self {
        Self { granted: false }
    }

    /// Whether it was granted.
    pub fn is_granted(&self) -> bool {
        self.granted
    }
}

impl Drop for RealTime {
    fn drop(&mut self) {
        if self.granted {
            become_ordinary();
        }
    }
}

/// This real-time priority on the last processor for the calling thread. Under a harness without one it stays as it is,
/// and the bench has more noise.
pub fn take_a_processor(priority: i32) {
    if change_priority(priority) {
        restrict(|index, last| index == last);
    }
}

/// Lets a program run with this priority and anywhere but on the sampler's processor, so that neither of the two takes
/// time from the other. It leads a process group of its own, see [`kill_group`].
pub fn prepare_dumper(command: &mut Command, priority: i32) {
    let prepare = move || {
        if change_priority(priority) {
            restrict(|index, last| index != last);
        }
        Ok(())
    };
    command.process_group(0);
    // SAFETY: between fork and exec the closure makes a few system calls on variables of its own; it neither allocates
    // nor locks.
    unsafe { command.pre_exec(prepare) };
}

/// Kills a process and those it has started. It must lead a group and must not have been waited for.
pub fn kill_group(leader: u32) {
    if let Ok(leader @ 2..) = libc::pid_t::try_from(leader) {
        // SAFETY: kill takes two numbers, and the group is that of a child of this process.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Processors this thread may use.
pub fn processors() -> usize {
    indices(&affinity()).count()
}

/// Free room in the file system of this folder, in MiB; 0 where nobody knows.
pub fn free_mib(folder: &Path) -> u64 {
    let Ok(name) = CString::new(folder.as_os_str().as_bytes()) else { return 0 };
    // SAFETY: statvfs holds numbers only, for which zero is a value.
    let mut room: libc::statvfs = unsafe { mem::zeroed() };
    // SAFETY: a C string, and a pointer to a variable of this function.
    let result = unsafe { libc::statvfs(name.as_ptr(), &raw mut room) };
    if result == 0 { room.f_bavail.saturating_mul(room.f_frsize) >> 20 } else { 0 }
}

/// Allows any process of the same user to trace this one, where Yama restricts that to ancestors.
pub fn allow_any_tracer() {
    // SAFETY: this prctl takes plain numbers. Without Yama it fails, and nothing needed allowing.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// Creates `count` one-page mappings that the kernel cannot merge, because neighbours differ in their protection.
pub fn map_separate_pages(count: usize) -> io::Result<()> {
    const PAGE: usize = 4096;
    if count == 0 {
        return Ok(());
    }
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping at a place the kernel chooses touches nothing that exists.
    let start = unsafe {
        libc::mmap(ptr::null_mut(), count * PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    for page in (0..count).step_by(2) {
        // SAFETY: the page is inside the mapping made above, which nothing else refers to.
        if unsafe { libc::mprotect(start.byte_add(page * PAGE), PAGE, libc::PROT_READ) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Loads a shared library for the rest of the process's life.
pub fn load_library(path: &Path) -> Outcome {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| "a library's path holds a NUL byte".to_owned())?;
    // SAFETY: the name is a C string, and the library, which the bench has built, runs no code when it is loaded.
    if !unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) }.is_null() {
        return Ok(());
    }
    // SAFETY: after a failed dlopen in the same thread, dlerror returns null or a C string valid until the next call.
    let why =
        unsafe { libc::dlerror().as_ref().map(|text| CStr::from_ptr(text).to_string_lossy().into_owned()) };
    Err(format!("could not load {}: {}", path.display(), why.unwrap_or_default()).into())
}

/// Waits for a child's end and returns what it used.
#[expect(
    clippy::needless_pass_by_value,
    reason = "after this the child is gone and its handle must not be used"
)]
pub fn wait(child: Child) -> io::Result<Usage> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: rusage holds numbers only, for which zero is a value.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    loop {
        // SAFETY: both pointers are to variables of this function, of the types that wait4 fills.
        if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // The kernel counts in KiB here (getrusage(2)).
    let peak_rss = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024);
    let success = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
    let signal = if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 };
    Ok(Usage { success, signal, cpu: duration(usage.ru_utime) + duration(usage.ru_stime), peak_rss })
}

/// What a crasher of `bench crash` dies of.
pub const CRASH_SIGNAL: i32 = libc::SIGSEGV;

/// Makes this process the parent of those whose own has ended before them.
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: this prctl takes plain numbers.
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the statuses of all children that have ended. Whether there is none left.
pub fn is_childless() -> bool {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
    // SAFETY: as above. 0 means that there are children, and none has ended.
    (unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) }) < 0
}

/// The time of `CLOCK_MONOTONIC`, which is the same in all processes.
pub fn monotonic() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), nanoseconds)
}

/// Reads memory of another process. Returns how many bytes came.
pub fn read_memory(pid: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let start = usize::try_from(address).map_err(io::Error::other)?;
    let remote = libc::iovec { iov_base: ptr::without_provenance_mut(start), iov_len: buffer.len() };
    // SAFETY: the local vector is this function's exclusive buffer; the remote one is an address in another process,
    // which the kernel checks.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
    seconds + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
}

fn set_scheduler(policy: libc::c_int, priority: i32) -> bool {
    // SAFETY: sched_param holds numbers only, for which zero is a value.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    parameters.sched_priority = priority;
    // SAFETY: thread 0 is the calling one, and the pointer is to a variable of this function.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}

/// Restricts the calling thread to the processors for which `keep(index, last)` holds, of those it may use now.
fn restrict(keep: impl Fn(usize, usize) -> bool) {
    let allowed = affinity();
    let Some(last) = indices(&allowed).last() else { return };
    // SAFETY: cpu_set_t is an array of bits, and no bit set is a value of it.
    let mut wanted: libc::cpu_set_t = unsafe { mem::zeroed() };
    for index in indices(&allowed).filter(|index| keep(*index, last)) {
        // SAFETY: the index is below the number of bits in the set, see `indices`.
        unsafe { libc::CPU_SET(index, &mut wanted) };
    }
    // A refusal leaves the thread where it was: more noise, nothing else.
    // SAFETY: thread 0 is the calling one; size and pointer describe a variable of this function.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const wanted) };
}

fn affinity() -> libc::cpu_set_t {
    // SAFETY: cpu_set_t is an array of bits, and no bit set is a value of it.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: thread 0 is the calling one; size and pointer describe a variable of this function.
    unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    set
}

fn indices(set: &libc::cpu_set_t) -> impl Iterator<Item = usize> + '_ {
    // SAFETY: the index stays below the number of bits in the set.
    (0..size_of::<libc::cpu_set_t>() * 8).filter(|index| unsafe { libc::CPU_ISSET(*index, set) })
}

#[cfg(test)]
mod tests {
    use super::{HARNESS_PRIORITY, RealTime};

    fn policy() -> libc::c_int {
        // SAFETY: thread 0 is the calling one; the call takes a number.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn what_runs_after_the_bench_has_no_real_time_priority() {
        let before = policy();
        let real_time = RealTime::ask(HARNESS_PRIORITY);
        assert_eq!(policy() == libc::SCHED_FIFO, real_time.is_granted());
        drop(real_time);
        assert_eq!(policy(), before);
    }
}
