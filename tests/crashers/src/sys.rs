//! Thin wrappers over the system calls that the scenarios share.

use std::ffi::{CString, c_int, c_ulong, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::AtomicU32;

pub use crate::patience::wait_until;

/// Base of GS. User space leaves the register alone on x86-64, so a value of our own harms nothing.
const GS_BASE: u64 = 0x1234_5678_9000;
/// `arch_prctl(2)` codes, asm/prctl.h.
const ARCH_SET_GS: u64 = 0x1001;
const ARCH_GET_FS: u64 = 0x1003;

/// Never changes: whoever waits for it waits for ever, as [`chain`](crate::chain) does.
pub static NEVER: AtomicU32 = AtomicU32::new(0);

/// Lets any process of the same user trace this one, where the Yama security module would forbid it.
pub fn allow_tracers() {
    // SAFETY: PR_SET_PTRACER takes a number and touches no memory. It fails without Yama, and then is not needed.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// Has the kernel kill this process when the thread that started it ends.
pub fn die_with_parent() {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong, 0, 0, 0) };
    assert_eq!(result, 0, "prctl(PR_SET_PDEATHSIG): {}", io::Error::last_os_error());
}

/// Ends the process without running any exit handler: the loader's lists may be corrupt by then.
pub fn exit_now(status: c_int) -> ! {
    // SAFETY: _exit touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Id of the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: gettid has no arguments and cannot fail.
    unsafe { libc::gettid() }.unsigned_abs()
}

/// Writes `line` and a line feed to standard output in one system call, past any buffer.
pub fn write_line(line: &str) {
    let bytes = format!("{line}\n").into_bytes();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        // SAFETY: the pointer and the length describe `rest`.
        let written = unsafe { libc::write(1, rest.as_ptr().cast(), rest.len()) };
        let Ok(written) = usize::try_from(written) else { exit_now(3) };
        rest = rest.split_at(written).1;
    }
}

/// Reads one line from standard input byte by byte, so that nothing is lost in a buffer when the program execs.
/// `None` at the end of the input.
pub fn read_line() -> Option<String> {
    let mut line = Vec::new();
    loop {
        let mut byte = 0u8;
        // SAFETY: one byte is read into `byte`.
        match unsafe { libc::read(0, (&raw mut byte).cast(), 1) } {
            1 if byte == b'\n' => return String::from_utf8(line).ok(),
            1 => line.push(byte),
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
}

/// Whether standard input has something to read or has ended.
pub fn input_is_ready() -> bool {
    let mut poll = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd is passed, and it outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
}

/// `length` bytes of fresh private memory that can be read and written.
pub fn fresh_memory(length: usize) -> usize {
    map_anonymous(length, libc::PROT_READ | libc::PROT_WRITE)
}

/// Names and values of the segment bases that a dump shall have of the calling thread. GS gets one first.
pub fn segment_bases() -> [(&'static str, u64); 2] {
    let mut fs_base = 0u64;
    // SAFETY: ARCH_GET_FS writes one u64 to the address it is given.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_FS, &raw mut fs_base) };
    // SAFETY: no code of this program uses GS.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, GS_BASE) };
    assert_eq!(result, 0, "arch_prctl(ARCH_SET_GS)");
    [("fs_base", fs_base), ("gs_base", GS_BASE)]
}

/// Maps `length` bytes of fresh anonymous private memory that need no backing until touched.
pub fn map_anonymous(length: usize, protection: c_int) -> usize {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no existing memory.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
    assert_ne!(address, libc::MAP_FAILED, "mmap({length}): {}", io::Error::last_os_error());
    address as usize
}

/// Changes the rights of whole pages.
///
/// # Safety
/// Nobody may use the pages in a way that the new rights forbid.
pub unsafe fn protect(address: usize, length: usize, protection: c_int) {
    // SAFETY: the caller's promise.
    let result = unsafe { libc::mprotect(address as *mut c_void, length, protection) };
    assert_eq!(result, 0, "mprotect({address:#x}): {}", io::Error::last_os_error());
}

/// `path` for a system call.
pub fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path holds no NUL")
}

/// Checks the result of a system call that returns -1 on failure.
pub fn check(what: &str, result: c_int) -> c_int {
    assert_ne!(result, -1, "{what}: {}", io::Error::last_os_error());
    result
}

/// Start and end of the mapping of this process that /proc/self/maps names `name` (the first one).
pub fn mapping_named(name: &str) -> Option<(usize, usize)> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc/self/maps is readable");
    let line = maps.lines().find(|line| line.ends_with(name))?;
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Scheduler state letter of thread `tid` of this process; `None` when the thread has gone.
pub fn thread_state(tid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{tid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
