//! Programs that watch themselves: for standstill, for lost signals, for changed registers and memory.

use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::arch::naked_asm;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

static SAMPLES: AtomicU64 = AtomicU64::new(0);
static LARGEST_GAP: AtomicU64 = AtomicU64::new(0);

/// `sampler N`: a thread reads the clock without pause, beside N parked workers (default 0). The command `gap`
/// answers the largest time between two readings since the last such command, in nanoseconds (`gap_ns`).
pub fn sampler(arguments: &Arguments) {
    let workers = crate::chain::start_workers(arguments.parsed(0, 0), 128 * 1024);
    let sample = || {
        let mut last = Instant::now();
        loop {
            let now = Instant::now();
            let gap = now.duration_since(last).as_nanos();
            LARGEST_GAP.fetch_max(u64::try_from(gap).unwrap_or(u64::MAX), Ordering::Relaxed);
            SAMPLES.fetch_add(1, Ordering::Relaxed);
            last = now;
        }
    };
    Builder::new().name("sampler".into()).spawn(sample).expect("a thread can be started");
    sys::wait_until("the first samples", || SAMPLES.load(Ordering::Relaxed) > 1000);
    LARGEST_GAP.store(0, Ordering::Relaxed);
    crate::threads::worker_facts(&workers).print();
    control::serve(|command| match command {
        "gap" => Facts::new().number("gap_ns", LARGEST_GAP.swap(0, Ordering::Relaxed)),
        _ => Facts::new().flag("pong", true).number("counter", SAMPLES.load(Ordering::Relaxed)),
    });
}

static RECEIVED: AtomicU64 = AtomicU64::new(0);
static SUM: AtomicU64 = AtomicU64::new(0);

/// `signals`: counts SIGRTMIN signals, which the kernel queues, on whichever thread gets them, beside four threads
/// that spin. The command `count` answers their number and the sum of the values sent with them (sigqueue).
pub fn signals(_: &Arguments) {
    extern "C" fn count(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
        // SAFETY: the kernel passes a valid siginfo; a queued signal carries a value.
        let value = unsafe { (*info).si_value().sival_ptr } as u64;
        SUM.fetch_add(value, Ordering::Relaxed);
        RECEIVED.fetch_add(1, Ordering::Relaxed);
    }
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = count;
    // SAFETY: all-zero is a valid sigaction; the handler only adds to atomics.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        sys::check("sigaction", libc::sigaction(libc::SIGRTMIN(), &raw const action, std::ptr::null_mut()));
    }
    for index in 0..4 {
        let spin = || {
            loop {
                SAMPLES.fetch_add(1, Ordering::Relaxed);
            }
        };
        Builder::new().name(format!("spinner-{index}")).spawn(spin).expect("a thread can be started");
    }
    Facts::new().number("signal", libc::SIGRTMIN().unsigned_abs()).print();
    control::serve(|_| {
        Facts::new()
            .flag("pong", true)
            .number("counter", SAMPLES.load(Ordering::Relaxed))
            .number("received", RECEIVED.load(Ordering::Acquire))
            .number("sum", SUM.load(Ordering::Acquire))
    });
}

static ROUNDS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);
static WAITS: AtomicU64 = AtomicU64::new(0);
static BROKEN_WAITS: AtomicU64 = AtomicU64::new(0);
static FUTEX: AtomicU32 = AtomicU32::new(0);

/// `self-check`: one thread checks its registers, one its stack, one that its blocking system calls are never cut
/// short. The answer tells the rounds so far (`counter`, `waits`) and what was wrong (`faults`, `broken_waits`).
pub fn self_check(_: &Arguments) {
    let threads: [(&str, fn()); 3] =
        [("registers", check_registers), ("stack", check_stack), ("waits", check_waits)];
    for (name, turn) in threads {
        let run = move || {
            loop {
                turn();
            }
        };
        Builder::new().name(name.into()).spawn(run).expect("a thread can be started");
    }
    sys::wait_until("all checks to run", || {
        ROUNDS.load(Ordering::Relaxed) > 100 && WAITS.load(Ordering::Relaxed) > 10
    });
    Facts::new().print();
    control::serve(|_| {
        Facts::new()
            .flag("pong", true)
            .number("counter", ROUNDS.load(Ordering::Relaxed))
            .number("waits", WAITS.load(Ordering::Relaxed))
            .number("faults", FAULTS.load(Ordering::Relaxed))
            .number("broken_waits", BROKEN_WAITS.load(Ordering::Relaxed))
    });
}

fn check_registers() {
    // SAFETY: the function keeps the C calling convention and touches no memory but its own stack.
    let wrong = unsafe { hold_registers() };
    FAULTS.fetch_add(wrong, Ordering::Relaxed);
    ROUNDS.fetch_add(1, Ordering::Relaxed);
}

/// Holds known values in registers over 100,000 turns and returns 1 if one of them changed, else 0.
#[unsafe(naked)]
unsafe extern "C" fn hold_registers() -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        ".irp reg, rbx,rbp,rdx,rsi,rdi,r8,r9,r10,r11,r12,r13,r14,r15",
        "movabs \\reg, 0x5eedcafe12345678",
        ".endr",
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movq xmm\\reg, rbx",
        ".endr",
        "mov ecx, 100000",
        "2:",
        "dec ecx",
        "jnz 2b",
        "movabs rcx, 0x5eedcafe12345678",
        ".irp reg, rbx,rbp,rdx,rsi,rdi,r8,r9,r10,r11,r12,r13,r14,r15",
        "cmp \\reg, rcx",
        "jne 3f",
        ".endr",
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movq rax, xmm\\reg",
        "cmp rax, rcx",
        "jne 3f",
        ".endr",
        "xor eax, eax",
        "jmp 4f",
        "3:",
        "mov eax, 1",
        "4:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

fn check_stack() {
    let block: [u64; 1024] = std::array::from_fn(|index| 0x57ac_0000 + index as u64);
    for _ in 0..100 {
        let shown = std::hint::black_box(&block);
        let wrong = shown.iter().zip(0u64..).any(|(word, index)| *word != 0x57ac_0000 + index);
        FAULTS.fetch_add(u64::from(wrong), Ordering::Relaxed);
    }
    ROUNDS.fetch_add(1, Ordering::Relaxed);
}

/// A sleep that returns early or a futex wait that fails with anything but a timeout has been disturbed: the kernel
/// restarts both after a stop.
fn check_waits() {
    let pause = libc::timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    let start = Instant::now();
    // SAFETY: the system calls read a timespec and a static word.
    let (slept, waited) = unsafe {
        let slept = libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &raw const pause, std::ptr::null_mut());
        let flags = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        let waited = libc::syscall(libc::SYS_futex, FUTEX.as_ptr(), flags, 0, &raw const pause);
        (slept, waited)
    };
    let timed_out = waited == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ETIMEDOUT);
    if slept != 0 || !timed_out || start.elapsed() < Duration::from_millis(4) {
        BROKEN_WAITS.fetch_add(1, Ordering::Relaxed);
    }
    WAITS.fetch_add(1, Ordering::Relaxed);
}
