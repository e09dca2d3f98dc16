//! The process to dump: this test program again, with memory and threads that the tests know.

use crash_context::CrashContext;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// Tells the program that it is to be the target.
pub const SWITCH: &str = "BE_THE_TARGET";
/// What one thread has on its stack: neither a pointer nor a small number.
pub const SECRET: u64 = 0x5ec2_e7ed_0b5c_10cc;
/// How many threads have a deep stack.
pub const DEEP_THREADS: u64 = 40;
/// Words in a frame.
pub const FRAME: usize = 128;
/// `r_brk` of the invented program.
pub const INVENTED_BREAK: u64 = 0x1111_2222_3333;
/// `r_ldbase` of it.
pub const INVENTED_LOADER: u64 = 0x1111_4444_5000;
/// `l_addr` of its library.
pub const INVENTED_BASE: u64 = 0x1111_6666_7000;
/// Size of a page in bytes.
pub const PAGE: usize = 4096;

/// Reports facts, then waits to be ended. Does nothing when the tests run it as one of them.
#[test]
#[ignore = "the process that the tests dump"]
fn target() {
    if std::env::var_os(SWITCH).is_none() {
        return;
    }
    // SAFETY: takes numbers and touches no memory. Where it fails there is no Yama, and it is not needed.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
    let (send, threads) = channel();
    start("secret", 0, SECRET, &send);
    (0..DEEP_THREADS).for_each(|index| start("deep", 64, index, &send));
    let principal = mapping(c"principal", 2);
    start("referring", 0, principal as u64 + 16, &send);
    let answer = send.clone();
    thread::spawn(move || crash(&answer));
    let application = mapping(c"application", 3);
    let generated = mapping(c"generated", 1);
    let headers = mapping(c"headers", 1);
    // SAFETY: the pages are mapped there, and nothing else refers to them.
    unsafe {
        std::ptr::write_bytes(application, 0xa1, PAGE);
        std::ptr::write_bytes(application.add(2 * PAGE), 0xa3, PAGE);
        std::ptr::copy_nonoverlapping(invented_program(headers as u64).as_ptr(), headers.cast(), 32);
    }
    let facts = [
        ("principal", principal),
        ("application", application),
        ("generated", generated),
        ("headers", headers),
    ];
    let mut lines: Vec<String> = facts.iter().map(|(name, at)| format!("{name} {}", *at as u64)).collect();
    let count = usize::try_from(DEEP_THREADS).unwrap() + 3;
    lines.extend(threads.iter().take(count));
    // SAFETY: nothing refers to this page. From here on nothing is mapped that could take its place.
    unsafe { libc::munmap(application.add(PAGE).cast(), PAGE) };
    let mut output = std::io::stdout().lock();
    writeln!(output, "\n{}\nready", lines.join("\n")).unwrap();
    output.flush().unwrap();
    // Ends when the tests let go of it.
    let _ = std::io::stdin().read(&mut [0]);
}

/// What a dumper needs to see of a program at `start` with one library: two program headers (`Elf64_Phdr`), a dynamic
/// section, `struct r_debug` and a `struct link_map` (<elf.h>, <link.h>).
fn invented_program(start: u64) -> [u64; 32] {
    let [dynamic, debug, map] = [start + 112, start + 144, start + 184];
    let header = |kind: u64, address: u64, size: u64| [kind | 4 << 32, 0, address, address, size, size, 8];
    let (table, dynamic_section) = (header(6, start, 112), header(2, dynamic, 32));
    let debug_entry = [21, debug, 0, 0];
    let list = [1, map, INVENTED_BREAK, 0, INVENTED_LOADER];
    let library = [INVENTED_BASE, 0, dynamic, 0, 0];
    let mut words = [0; 32];
    let parts = table.iter().chain(&dynamic_section).chain(&debug_entry).chain(&list).chain(&library);
    words.iter_mut().zip(parts).for_each(|(word, part)| *word = *part);
    words
}

/// `pages` pages that are no neighbours of others, for each has its own file.
fn mapping(name: &std::ffi::CStr, pages: usize) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new file is mapped at a place that the kernel chooses.
    unsafe {
        let file = libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC);
        assert_eq!(libc::ftruncate(file, i64::try_from(pages * PAGE).unwrap()), 0);
        let start = libc::mmap(std::ptr::null_mut(), pages * PAGE, access, libc::MAP_SHARED, file, 0);
        assert_ne!(start, libc::MAP_FAILED);
        start.cast()
    }
}

/// A thread with `word` all over its stack. It reports `name`, its id and the address of its last frame's words.
fn start(name: &'static str, depth: u64, word: u64, answer: &Sender<String>) {
    let answer = answer.clone();
    thread::spawn(move || hold(name, depth, word, &answer));
}

#[inline(never)]
fn hold(name: &str, depth: u64, word: u64, answer: &Sender<String>) {
    let words = black_box([word; FRAME]);
    if depth > 0 {
        hold(name, depth - 1, word, answer);
    } else {
        answer.send(format!("{name} {} {}", thread_id(), words.as_ptr() as u64)).unwrap();
        wait();
    }
    black_box(&words);
}

fn wait() {
    loop {
        thread::park();
    }
}

fn thread_id() -> i32 {
    // SAFETY: no preconditions.
    unsafe { libc::gettid() }
}

/// A thread that records its registers as if it crashed here. It reports its id, the record, and the code around.
#[inline(never)]
fn crash(answer: &Sender<String>) {
    let mut context = CrashContext::from_bytes(&vec![0; size_of::<CrashContext>()]).unwrap();
    // SAFETY: the structure has room for all registers.
    unsafe { crash_context::crash_context_getcontext(&raw mut context.context) };
    context.pid = i32::try_from(std::process::id()).unwrap();
    context.tid = thread_id();
    context.siginfo.ssi_signo = libc::SIGSEGV.unsigned_abs();
    context.siginfo.ssi_code = 1;
    context.siginfo.ssi_addr = 0x1234;
    context.float_state.mxcsr = 0x1f80;
    context.float_state.xmm_space[60] = 0xfedc_ba98;
    let ip = usize::try_from(context.context.uc_mcontext.gregs[16]).unwrap();
    // SAFETY: this function is longer than 128 bytes, and so is what comes before it.
    let code = unsafe { std::slice::from_raw_parts((ip - 128) as *const u8, 256) };
    answer.send(format!("crash {} {} {}", context.tid, hex(context.as_bytes()), hex(code))).unwrap();
    wait();
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
