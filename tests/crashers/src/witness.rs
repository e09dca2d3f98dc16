//! A program that knows everything about itself that making a copy of it could disturb, and tells it when asked.
//!
//! Its threads are blocked in system calls of all kinds of restart, with known values in every register. The command
//! `check` answers what the process sees of itself: memory, children, signals, threads, files, mappings. The command
//! `wake` ends every blocked system call in its proper way; each thread checks result and registers, and blocks again.

use crate::control;
use crate::facts::Facts;
use crate::held_call::{self, Call};
use crate::scenario::Arguments;
use crate::sys;
use libc::{PROT_READ, PROT_WRITE, c_int};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::Builder;

/// Bytes of memory that is checked.
const MEMORY: usize = 16 << 20;
/// Length of the kernel's signal set.
const SIGNAL_SET: u64 = 8;
/// A nanosleep that nobody waits for.
const AN_HOUR: libc::timespec = libc::timespec { tv_sec: 3600, tv_nsec: 0 };

static CHILD_SIGNALS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);
static TURNS: AtomicU64 = AtomicU64::new(0);
static FUTEX: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_child(_: c_int) {
    CHILD_SIGNALS.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn nothing(_: c_int) {}

/// `witness`: see the module.
pub fn witness(_: &Arguments) {
    set_up_signals();
    let memory = patterned_memory();
    let pipe = pipe();
    let event = eventfd();
    let blocked: Vec<Blocked> = blocked_calls(pipe, event).into_iter().map(Blocked::start).collect();
    settle(&blocked);
    // What the first answers allocate is part of the process from here on.
    for _ in 0..3 {
        let _ = self_portrait(memory);
    }
    Facts::new().number("memory", memory as u64).size("length", MEMORY).print();
    control::serve(|command| match command {
        "limit" => {
            forbid_more_processes();
            Facts::new()
        }
        "check" => {
            settle(&blocked);
            self_portrait(memory)
        }
        "wake" => {
            wake(&blocked, pipe, event);
            settle(&blocked);
            Facts::new().number("faults", FAULTS.load(Ordering::SeqCst))
        }
        _ => Facts::new().flag("pong", true).number("counter", TURNS.load(Ordering::SeqCst)),
    });
}

/// `witness-spinning`: one thread only, which checks its registers without pause.
pub fn witness_spinning(_: &Arguments) {
    set_up_signals();
    let memory = patterned_memory();
    let turn = || {
        FAULTS.fetch_add(held_call::spin(), Ordering::SeqCst);
        TURNS.fetch_add(1, Ordering::SeqCst);
    };
    turn();
    let _ = self_portrait(memory);
    Facts::new().number("memory", memory as u64).size("length", MEMORY).print();
    loop {
        while !sys::input_is_ready() {
            turn();
        }
        let Some(command) = sys::read_line() else { sys::exit_now(0) };
        match command.as_str() {
            "check" => self_portrait(memory).print(),
            _ => Facts::new().flag("pong", true).number("counter", TURNS.load(Ordering::SeqCst)).print(),
        }
    }
}

/// `witness-subreaper`: adopts orphans (PR_SET_CHILD_SUBREAPER).
pub fn witness_subreaper(arguments: &Arguments) {
    // SAFETY: the call takes numbers.
    sys::check("prctl", unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) });
    witness(arguments);
}

/// `witness-limited`: may make no more processes, from the command `limit` on. As root is not bound by that, root
/// becomes the user 65534 first.
pub fn witness_limited(arguments: &Arguments) {
    // SAFETY: the calls take numbers.
    unsafe {
        if libc::geteuid() == 0 {
            sys::check("setresuid", libc::setresuid(65534, 65534, 65534));
            sys::check("prctl", libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0));
        }
    }
    sys::die_with_parent();
    sys::allow_tracers();
    witness(arguments);
}

fn forbid_more_processes() {
    let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
    // SAFETY: the structure outlives the call.
    sys::check("setrlimit", unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) });
}

/// `witness-filtered`: runs under a seccomp filter that allows everything.
pub fn witness_filtered(arguments: &Arguments) {
    let mut allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut allow };
    // SAFETY: the calls take numbers and a program of one instruction, RET ALLOW, which outlives the call.
    unsafe {
        sys::check("prctl", libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        let filter = &raw const program;
        sys::check("prctl", libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, filter, 0, 0));
    }
    witness(arguments);
}

/// A child counter; a signal that is blocked everywhere and pending; a timer that does not go off.
fn set_up_signals() {
    let hour = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 3600, tv_usec: 0 },
    };
    // SAFETY: all-zero is a valid sigaction and an empty set; the handlers touch atomics or nothing.
    unsafe {
        for (signal, handler) in
            [(libc::SIGCHLD, count_child as extern "C" fn(c_int)), (libc::SIGUSR1, nothing)]
        {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as usize;
            sys::check("sigaction", libc::sigaction(signal, &raw const action, std::ptr::null_mut()));
        }
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGWINCH] {
            libc::sigaddset(&raw mut blocked, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut());
        // For the process, and for this thread.
        sys::check("kill", libc::kill(libc::getpid(), libc::SIGUSR2));
        libc::pthread_kill(libc::pthread_self(), libc::SIGWINCH);
        sys::check("setitimer", libc::setitimer(libc::ITIMER_REAL, &raw const hour, std::ptr::null_mut()));
    }
}

fn patterned_memory() -> usize {
    let address = sys::map_anonymous(MEMORY, PROT_READ | PROT_WRITE);
    for index in 0..MEMORY / 8 {
        // SAFETY: the words lie in the fresh mapping.
        unsafe { *(address as *mut u64).add(index) = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) };
    }
    address
}

fn wrong_words(address: usize) -> u64 {
    // SAFETY: the mapping lives for ever and nobody writes to it any more.
    let words = unsafe { std::slice::from_raw_parts(address as *const u64, MEMORY / 8) };
    let wrong =
        (0u64..).zip(words).filter(|(index, word)| **word != index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    wrong.count() as u64
}

/// What the process sees of itself. Every value stays the same for as long as nobody interferes.
fn self_portrait(memory: usize) -> Facts {
    let mut timer = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: 0, tv_usec: 0 },
    };
    // SAFETY: the calls write to a live structure or nowhere.
    let (waited, error) = unsafe {
        libc::getitimer(libc::ITIMER_REAL, &raw mut timer);
        let waited = libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL | libc::WNOHANG);
        (waited, std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    };
    let status = |tid: &str| {
        let text = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap_or_default();
        let told = |line: &&str| {
            ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Threads"]
                .iter()
                .any(|key| line.starts_with(key))
        };
        text.lines().filter(told).collect::<Vec<_>>().join(" ").replace('\t', "")
    };
    let tids = entries("/proc/self/task");
    let states: Vec<String> = tids.iter().map(|tid| format!("{tid}: {}", status(tid))).collect();
    Facts::new()
        .number("wrong_words", wrong_words(memory))
        .number("faults", FAULTS.load(Ordering::SeqCst))
        .flag("no_children", waited == -1 && error == libc::ECHILD)
        .number("child_signals", CHILD_SIGNALS.load(Ordering::SeqCst))
        .flag("timer_runs", timer.it_value.tv_sec > 0)
        .text("threads", &states.join("; "))
        .text("files", &entries("/proc/self/fd").join(" "))
        .number("mappings", hash(&mappings()))
}

/// The memory map. Of the heap only where it begins: the answers to this very question may grow it.
fn mappings() -> Vec<u8> {
    let text = std::fs::read("/proc/self/maps").unwrap_or_default();
    let lines = text.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let start = line.split(|byte| *byte == b'-').next().unwrap_or(line);
        if line.ends_with(b"[heap]\n") { start } else { line }
    });
    lines.flatten().copied().collect()
}

fn entries(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder of /proc/self is readable");
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    // Readers of JSON may keep numbers as doubles.
    hasher.finish() >> 12
}

fn pipe() -> (c_int, c_int) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    sys::check("pipe", unsafe { libc::pipe(ends.as_mut_ptr()) });
    (ends[0], ends[1])
}

fn eventfd() -> c_int {
    // SAFETY: the call takes numbers.
    sys::check("eventfd", unsafe { libc::eventfd(0, 0) })
}

/// A system call, and what it returns when it ends properly; errors are negative.
struct Plan {
    name: &'static str,
    call: Call,
    proper: fn(i64) -> bool,
    /// It ends by a signal to its thread; otherwise by an event.
    by_signal: bool,
}

struct Blocked {
    name: &'static str,
    tid: u32,
    thread: libc::pthread_t,
    by_signal: bool,
}

const fn is_interrupted(result: i64) -> bool {
    result == -(libc::EINTR as i64)
}

fn blocked_calls(pipe: (c_int, c_int), event: c_int) -> Vec<Plan> {
    let number = |value: c_int| u64::try_from(value).expect("a descriptor is not negative");
    let leak = |bytes: usize| Box::leak(vec![0u8; bytes].into_boxed_slice()).as_mut_ptr() as u64;
    let hour = std::ptr::from_ref(Box::leak(Box::new(AN_HOUR))) as u64;
    // All but the signal that is pending for the process.
    let set = Box::leak(Box::new(1u64 << (libc::SIGUSR2 - 1)));
    let set = std::ptr::from_ref(set) as u64;
    let poll = Box::leak(Box::new(libc::pollfd { fd: event, events: libc::POLLIN, revents: 0 }));
    let poll = std::ptr::from_mut(poll) as u64;
    // SAFETY: the calls take numbers and a live structure.
    let epoll = unsafe {
        let epoll = sys::check("epoll_create1", libc::epoll_create1(0));
        let mut interest = libc::epoll_event { events: libc::EPOLLIN.unsigned_abs(), u64: 0 };
        sys::check("epoll_ctl", libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, event, &raw mut interest));
        number(epoll)
    };
    let plan = |name, system_call: i64, arguments, by_signal, proper: fn(i64) -> bool| Plan {
        name,
        call: Call::new(system_call.unsigned_abs(), arguments),
        proper,
        by_signal,
    };
    let wait = u64::from(libc::FUTEX_WAIT.unsigned_abs() | libc::FUTEX_PRIVATE_FLAG.unsigned_abs());
    let futex = FUTEX.as_ptr() as u64;
    let one: fn(i64) -> bool = |result| result == 1;
    let zero: fn(i64) -> bool = |result| result == 0;
    let all = u64::MAX;
    vec![
        plan("read", libc::SYS_read, [number(pipe.0), leak(1), 1, 7, 8, 9], false, one),
        plan("futex", libc::SYS_futex, [futex, wait, 0, 0, 8, 9], false, zero),
        plan("futex-timed", libc::SYS_futex, [futex, wait, 0, hour, 8, 9], false, zero),
        // epoll_wait is not restarted: every stop ends it with EINTR.
        plan("epoll", libc::SYS_epoll_wait, [epoll, leak(12), 1, all, 8, 9], false, |result| {
            result == 1 || is_interrupted(result)
        }),
        plan("poll", libc::SYS_poll, [poll, 1, 3_600_000, 7, 8, 9], false, one),
        plan("nanosleep", libc::SYS_nanosleep, [hour, leak(16), 6, 7, 8, 9], true, is_interrupted),
        plan("ppoll", libc::SYS_ppoll, [0, 0, 0, set, SIGNAL_SET, 9], true, is_interrupted),
        plan("sigsuspend", libc::SYS_rt_sigsuspend, [set, SIGNAL_SET, 6, 7, 8, 9], true, is_interrupted),
    ]
}

impl Blocked {
    fn start(plan: Plan) -> Self {
        let (send, receive) = std::sync::mpsc::channel();
        let run = move || {
            // SIGUSR1 ends the calls that end by a signal, and it may come only inside of them.
            // SAFETY: pthread_self and gettid take nothing.
            send.send((sys::thread_id(), unsafe { libc::pthread_self() })).expect("the main thread listens");
            allow_wake_up(plan.name);
            loop {
                let (result, wrong) = plan.call.make();
                if wrong != 0 || !(plan.proper)(result) {
                    FAULTS.fetch_add(1, Ordering::SeqCst);
                }
                if plan.name != "epoll" || !is_interrupted(result) {
                    TURNS.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        Builder::new().name(plan.name.into()).spawn(run).expect("a thread can be started");
        let (tid, thread) = receive.recv().expect("the thread reports");
        Self { name: plan.name, tid, thread, by_signal: plan.by_signal }
    }
}

/// Unblocks SIGUSR1 where the system call does not do it itself. All masks differ, so that a mix-up shows.
fn allow_wake_up(name: &str) {
    // SAFETY: all-zero is an empty set; the set outlives the calls.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&raw mut set, libc::SIGUSR2);
        let own = name.len() % 8 + usize::from(name.as_bytes().first().copied().unwrap_or(0)) % 8;
        libc::sigaddset(&raw mut set, libc::SIGRTMIN() + c_int::try_from(own).unwrap_or(0));
        if name != "nanosleep" {
            libc::sigaddset(&raw mut set, libc::SIGUSR1);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Waits until every thread is in its system call.
fn settle(blocked: &[Blocked]) {
    for thread in blocked {
        sys::wait_until(thread.name, || {
            let state = std::fs::read_to_string(format!("/proc/self/task/{}/syscall", thread.tid));
            sys::thread_state(thread.tid) == Some('S') && state.is_ok_and(|text| !text.starts_with("running"))
        });
    }
}

/// Ends each blocked system call once.
fn wake(blocked: &[Blocked], pipe: (c_int, c_int), event: c_int) {
    let before = TURNS.load(Ordering::SeqCst);
    let (one, mut taken) = (1u64, 0u64);
    for thread in blocked.iter().filter(|thread| thread.by_signal) {
        // SAFETY: the thread lives for ever.
        unsafe { libc::pthread_kill(thread.thread, libc::SIGUSR1) };
    }
    // SAFETY: buffers of the lengths given; the futex word is static.
    unsafe {
        sys::check("futex", {
            let flags = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
            c_int::try_from(libc::syscall(libc::SYS_futex, FUTEX.as_ptr(), flags, 2)).unwrap_or(-1)
        });
        assert_eq!(libc::write(pipe.1, (&raw const one).cast(), 1), 1, "write to the pipe");
        assert_eq!(libc::write(event, (&raw const one).cast(), 8), 8, "write to the eventfd");
    }
    sys::wait_until("every thread to come round", || {
        TURNS.load(Ordering::SeqCst) >= before + blocked.len() as u64
    });
    // SAFETY: eight bytes are read into a u64. Those that poll come round until it is empty.
    assert_eq!(unsafe { libc::read(event, (&raw mut taken).cast(), 8) }, 8, "read from the eventfd");
}
