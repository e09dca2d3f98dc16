//! The crashing program: this very test program, when the environment names a scenario. It runs as a constructor, so
//! that the main thread is the real one and nothing of the test harness runs.

use super::system_calls;
use libc::{c_int, c_void, siginfo_t};
use minidump_record::{Annotations, Context, Crash, MEMORY_SIZE, RecordError, Recorder};
use std::arch::{asm, global_asm};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::mem::zeroed;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::{env, fs, ptr, thread};

pub const SCENARIO: &str = "RECORD_TEST_SCENARIO";
pub const FILE: &str = "RECORD_TEST_FILE";
/// On the stack of the function that crashes, and of the thread that sleeps.
pub const CRASH_MARK: u64 = 0x5afe_c0de_1234_8765;
pub const SLEEP_MARK: u64 = 0x0151_ee9e_7fee_dbed;
pub const SLEEPER: &str = "the-sleeper";
/// How the child tells what `record` returned.
pub const EXIT_OUTPUT: i32 = 71;
pub const EXIT_BUSY: i32 = 72;
/// The system does not let us make the scenario.
pub const EXIT_NOT_ALLOWED: i32 = 77;
/// Bytes of the alternate stack: what the documentation asks for, and what the kernel puts on it.
const SIGNAL_STACK: usize = (16 << 10) + (8 << 10);

pub static ANNOTATIONS: Annotations = Annotations::new();
static RECORDER: OnceLock<Recorder> = OnceLock::new();
static OUTPUT: AtomicI32 = AtomicI32::new(-1);
/// What to do in the handler before recording.
static FIRST: OnceLock<fn()> = OnceLock::new();

struct Memory(UnsafeCell<[u8; MEMORY_SIZE]>);
// SAFETY: used once, by `prepare`.
unsafe impl Sync for Memory {}
static MEMORY: Memory = Memory(UnsafeCell::new([0; MEMORY_SIZE]));

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    if let (Ok(scenario), Ok(file)) = (env::var(SCENARIO), env::var(FILE)) {
        prepare(&file);
        run(&scenario);
        // SAFETY: ends the process.
        unsafe { libc::_exit(99) };
    }
}

fn prepare(file: &str) {
    let path = std::ffi::CString::new(file).unwrap();
    // SAFETY: a C string, and memory that nothing else uses.
    let (fd, memory) =
        unsafe { (libc::open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o600), &mut *MEMORY.0.get()) };
    OUTPUT.store(fd, Ordering::Relaxed);
    RECORDER.get_or_init(|| Recorder::new(memory).unwrap());
    ANNOTATIONS.set("product", "crash test \u{1f980}").unwrap();
    ANNOTATIONS.set("empty", "").unwrap();
    install_handlers();
    give_signal_stack();
}

fn install_handlers() {
    for signal in
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS]
    {
        // SAFETY: the structure may be zero, and the handler has the type that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = handler as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(signal, &raw const action, ptr::null_mut()), 0);
        }
    }
}

/// Gives the calling thread an alternate stack with a guard page below.
fn give_signal_stack() {
    // SAFETY: new memory, which stays.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let size = SIGNAL_STACK + 4096;
        let base = libc::mmap(ptr::null_mut(), size, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(base, libc::MAP_FAILED);
        let stack = base.byte_add(4096);
        assert_eq!(libc::mprotect(stack, SIGNAL_STACK, libc::PROT_READ | libc::PROT_WRITE), 0);
        let stack = libc::stack_t { ss_sp: stack, ss_flags: 0, ss_size: SIGNAL_STACK };
        assert_eq!(libc::sigaltstack(&raw const stack, ptr::null_mut()), 0);
    }
}

extern "C" fn handler(signal: c_int, info: *mut siginfo_t, ucontext: *mut c_void) {
    // SAFETY: the kernel's arguments.
    let (context, info) = unsafe { (Context::from_ucontext(ucontext), &*info) };
    let Some(context) = context else { exit(98) };
    // SAFETY: gettid has no conditions.
    let tid = unsafe { libc::gettid() };
    let is_fault = info.si_code > 0 && signal != libc::SIGABRT;
    // SAFETY: a fault has an address.
    let address = if is_fault { unsafe { info.si_addr() as u64 } } else { context.instruction_pointer() };
    let code = info.si_code;
    let crash = Crash { tid, signal, code, address, parameters: &[14, 6], context: &context };
    let Some(recorder) = RECORDER.get() else { exit(97) };
    if let Some(first) = FIRST.get().filter(|_| signal != libc::SIGSYS) {
        first();
    }
    let result = recorder.record(&crash, OUTPUT.load(Ordering::Relaxed), &ANNOTATIONS);
    exit(match result {
        Ok(_) => 0,
        Err(RecordError::Output { .. }) => EXIT_OUTPUT,
        Err(RecordError::Busy) => EXIT_BUSY,
        Err(_) => 95,
    })
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

fn run(scenario: &str) {
    match scenario {
        "null" => crash_null(),
        "jump" => crash_jump(),
        "abort" => crash_abort(),
        "overflow-main" => overflow(),
        "overflow-worker" => on_worker(overflow),
        "worker" => on_worker(|| crash_null()),
        "bad-sp" => bad_stack_pointer(),
        "heap" => with_broken_heap(),
        "closed" => with_closed_files(),
        "no-descriptors" => without_descriptors(),
        "no-memory" => without_memory(),
        "main-gone" => without_main_thread(),
        "sleeper" => beside_a_sleeper(),
        "forked" => in_a_fork(),
        "library" => with_a_broken_library_header(),
        "filtered" => crash_after(system_calls::forbid_others),
        "refused" => crash_after(system_calls::refuse_memory),
        "killed" => crash_after(system_calls::kill_at_the_threads),
        "trapped" => crash_after(system_calls::trap_the_last),
        "chroot" => without_proc(),
        "non-dumpable" => without_rights_on_itself(),
        "small-disk" => with_a_small_disk(),
        other => panic!("no scenario {other}"),
    }
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn crash_null() {
    let mark = black_box([CRASH_MARK; 8]);
    // SAFETY: none: this is the crash. It is in assembly, to be in this very function whatever the optimisation.
    unsafe { asm!("mov dword ptr [{}], 1", in(reg) 0x18_u64) };
    black_box(mark);
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn crash_jump() {
    let mark = black_box([CRASH_MARK; 8]);
    // SAFETY: none: this is the crash.
    let target: extern "C" fn() = unsafe { std::mem::transmute(black_box(0x1234_5000_usize)) };
    target();
    black_box(mark);
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn crash_abort() {
    let mark = black_box([CRASH_MARK; 8]);
    black_box(&mark);
    // SAFETY: ends the process by a signal.
    unsafe { libc::abort() };
}

unsafe extern "C" {
    fn overflow_in_small_frames();
    fn lose_stack_pointer();
}

// Frames of 32 bytes; and a stack pointer that points nowhere.
global_asm!(
    ".global overflow_in_small_frames",
    ".type overflow_in_small_frames, @function",
    "overflow_in_small_frames:",
    "sub rsp, 24",
    "call overflow_in_small_frames",
    "add rsp, 24",
    "ret",
    ".size overflow_in_small_frames, . - overflow_in_small_frames",
    ".global lose_stack_pointer",
    ".type lose_stack_pointer, @function",
    "lose_stack_pointer:",
    "mov rsp, 0x10",
    "push rax",
    "ud2",
    ".size lose_stack_pointer, . - lose_stack_pointer",
);

#[inline(never)]
fn overflow() {
    let mark = black_box([CRASH_MARK; 8]);
    // SAFETY: none: this is the crash.
    unsafe { overflow_in_small_frames() };
    black_box(mark);
}

#[inline(never)]
fn bad_stack_pointer() {
    let mark = black_box([CRASH_MARK; 8]);
    // SAFETY: none: this is the crash.
    unsafe { lose_stack_pointer() };
    black_box(mark);
}

fn on_worker(crash: impl FnOnce() + Send + 'static) {
    let worker = thread::Builder::new().stack_size(1 << 20).spawn(move || {
        give_signal_stack();
        crash();
    });
    worker.unwrap().join().unwrap();
}

fn with_broken_heap() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("[heap]")).unwrap();
    let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).unwrap());
    // SAFETY: none: this destroys the heap.
    unsafe { ptr::write_bytes(start as *mut u8, 0xa5, end - start) };
    crash_null();
}

fn with_closed_files() {
    let keep = OUTPUT.load(Ordering::Relaxed);
    for fd in (0..1024).filter(|fd| *fd != keep) {
        // SAFETY: nothing here uses them any more.
        unsafe { libc::close(fd) };
    }
    crash_null();
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: a limit of this process.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

fn without_descriptors() {
    limit(libc::RLIMIT_NOFILE, 64);
    // SAFETY: duplicates a descriptor until there is no room.
    while unsafe { libc::dup(2) } >= 0 {}
    crash_null();
}

fn without_memory() {
    limit(libc::RLIMIT_AS, 1 << 20);
    // SAFETY: asks for memory that must not be had.
    assert!(unsafe { libc::malloc(64 << 20) }.is_null());
    crash_null();
}

/// Waits until the kernel tells what is awaited of the thread.
fn await_thread(tid: i32, file: &str, is_there: impl Fn(&str) -> bool) {
    let path = format!("/proc/self/task/{tid}/{file}");
    while !is_there(&fs::read_to_string(&path).unwrap()) {
        thread::yield_now();
    }
}

fn without_main_thread() {
    // SAFETY: no conditions.
    let main = unsafe { libc::getpid() };
    thread::spawn(move || {
        give_signal_stack();
        await_thread(main, "stat", |text| text.contains(") Z "));
        crash_null();
    });
    // SAFETY: ends this thread alone.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

fn beside_a_sleeper() {
    let (send, receive) = std::sync::mpsc::channel();
    thread::Builder::new()
        .name(SLEEPER.into())
        .spawn(move || {
            let mark = black_box([SLEEP_MARK; 8]);
            // SAFETY: no conditions.
            send.send(unsafe { libc::gettid() }).unwrap();
            // SAFETY: waits for a signal that does not come.
            unsafe { libc::pause() };
            black_box(mark);
        })
        .unwrap();
    let tid = receive.recv().unwrap();
    ANNOTATIONS.set("sleeper", &tid.to_string()).unwrap();
    await_thread(tid, "syscall", |text| text.starts_with(&format!("{} ", libc::SYS_pause)));
    crash_null();
}

fn in_a_fork() {
    // SAFETY: one thread; the child crashes, the parent waits for it.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            ANNOTATIONS.set("forked", &libc::getpid().to_string()).unwrap();
            crash_null();
        }
        let mut status = 0;
        libc::waitpid(child, &raw mut status, 0);
        exit(libc::WEXITSTATUS(status));
    }
}

/// Overwrites the ELF header of the C library.
fn with_a_broken_library_header() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains("/libc.so") || line.contains("/libc-")).unwrap();
    let start = usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
    ANNOTATIONS.set("library", &start.to_string()).unwrap();
    // SAFETY: the page holds headers alone, which nobody reads after the program was loaded.
    unsafe {
        assert_eq!(libc::mprotect(start as *mut c_void, 64, libc::PROT_READ | libc::PROT_WRITE), 0);
        ptr::write_bytes(start as *mut u8, 0xff, 64);
    }
    crash_null();
}

fn crash_after(first: fn()) {
    FIRST.get_or_init(|| first);
    crash_null();
}

/// As a setuid program: /proc belongs to root, and we are not root.
fn without_rights_on_itself() {
    const NOBODY: u32 = 65534;
    // SAFETY: concern this process alone.
    unsafe {
        if libc::getuid() == 0 {
            assert_eq!(libc::setresuid(NOBODY, NOBODY, NOBODY), 0);
        }
        assert_eq!(libc::prctl(libc::PR_SET_DUMPABLE, 0), 0);
    }
    assert!(fs::read("/proc/self/auxv").is_err());
    crash_null();
}

/// Changes the root to an empty folder, as a user namespace allows anybody.
fn without_proc() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::ffi::CString::new(folder.path().to_str().unwrap()).unwrap();
    // SAFETY: concern this process alone.
    let done = unsafe {
        libc::chroot(path.as_ptr()) == 0
            || (libc::unshare(libc::CLONE_NEWUSER) == 0 && libc::chroot(path.as_ptr()) == 0)
    };
    if !done {
        exit(EXIT_NOT_ALLOWED);
    }
    assert!(fs::metadata("/proc").is_err());
    crash_null();
}

fn with_a_small_disk() {
    limit(libc::RLIMIT_FSIZE, super::full_disk::LIMIT);
    crash_null();
}
