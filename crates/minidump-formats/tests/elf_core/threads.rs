//! Notes about threads, byte for byte.

use crate::build::{PID, empty, encode, registers, thread};
use crate::parse::{word16, word32, word64};
use minidump_snapshot::{Exception, LinuxFacts, Snapshot, Thread, ThreadTimes};

const PRSTATUS: u32 = 1;
const FPREGSET: u32 = 2;
const X86_XSTATE: u32 = 0x202;

fn one(thread: Thread) -> Snapshot {
    let mut snapshot = empty();
    snapshot.threads.push(thread);
    snapshot
}

#[test]
fn the_status_has_all_registers_in_the_order_of_the_kernel_header() {
    let status = encode(&one(thread(7, registers(9)))).only(PRSTATUS);
    assert_eq!(status.len(), 336);
    let value = |index: u64| 9 << 32 | 0x1111_0000 | index;
    // r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs rflags rsp ss fs_base gs_base ds es fs gs
    let expected = [
        value(16),
        value(15),
        value(14),
        value(13),
        value(7),
        value(2),
        value(12),
        value(11),
        value(10),
        value(9),
        value(1),
        value(3),
        value(4),
        value(5),
        value(6),
        value(20),
        value(17),
        0x33,
        0x246,
        value(8),
        0x2b,
        value(18),
        value(19),
        1,
        2,
        3,
        4,
    ];
    let found: Vec<u64> = (0..27).map(|index| word64(&status, 112 + 8 * index)).collect();
    assert_eq!(found, expected);
    assert_eq!(word32(&status, 328), 1, "floating-point registers follow");
    assert_eq!(word32(&status, 332), 0);
}

#[test]
fn the_status_tells_ids_signals_and_times() {
    let mut snapshot = one(thread(PID, registers(1)));
    snapshot.threads.push(thread(PID + 1, registers(2)));
    snapshot.threads[0].times = Some(ThreadTimes { start_us: 5, user_us: 2_500_000, kernel_us: 999_999 });
    snapshot.process.parent_pid = Some(88);
    let status =
        b"Pid:\t4000\nNSpgid:\t90\nNSsid:\t91\nSigPnd:\t0000000000000400\nSigBlk:\t8000000000000001\n";
    snapshot.linux = Some(LinuxFacts { status: Some(status.to_vec()), ..LinuxFacts::default() });
    snapshot.exception =
        Some(Exception { thread: PID, code: 11, flags: 2, address: 0x10, parameters: vec![] });
    let notes = encode(&snapshot).all(PRSTATUS);
    let first = &notes[0];
    assert_eq!([0, 4, 8].map(|at| word32(first, at)), [11, 0, 0]);
    assert_eq!(word16(first, 12), 11, "the current signal");
    assert_eq!((word64(first, 16), word64(first, 24)), (0x400, 0x8000_0000_0000_0001));
    assert_eq!([32, 36, 40, 44].map(|at| word32(first, at)), [PID, 88, 90, 91]);
    assert_eq!([48, 56, 64, 72].map(|at| word64(first, at)), [2, 500_000, 0, 999_999]);
    let second = &notes[1];
    assert_eq!((word32(second, 0), word16(second, 12)), (11, 11), "as in cores of Linux");
    assert_eq!(second[16..32], [0; 16], "pending and blocked signals are those of the first thread only");
    assert_eq!([32, 36, 40, 44].map(|at| word32(second, at)), [PID + 1, 88, 90, 91]);
}

#[test]
fn the_floating_point_registers_are_the_fxsave_image() {
    let state = registers(1);
    let expected = state.xsave[..512].to_vec();
    assert_eq!(encode(&one(thread(7, state))).only(FPREGSET), expected);
}

#[test]
fn the_extended_area_is_whole_even_if_the_capture_cut_it() {
    let state = registers(1);
    let cut = state.xsave.clone();
    let area = encode(&one(thread(7, state))).only(X86_XSTATE);
    assert_eq!(area.len(), 2696, "to the end of the last component that the kernel has enabled");
    assert_eq!(area[..832], cut);
    assert_eq!(area[832..], [0; 2696 - 832]);
    assert_eq!(word64(&area, 464), 0x207, "XCR0, as the kernel told it");
}

#[test]
fn the_layout_of_the_extended_area_is_told() {
    let layout = encode(&one(thread(7, registers(1)))).only(0x205);
    let words: Vec<u32> = (0..8).map(|index| word32(&layout, 4 * index)).collect();
    assert_eq!(words, [2, 256, 576, 0, 9, 8, 2688, 0], "number, size, offset, flags of AVX and PKRU");
    assert_eq!(layout.len(), 32);
}

#[test]
fn xcr0_is_told_even_if_the_kernel_did_not() {
    let mut state = registers(1);
    state.xsave[464..472].fill(0);
    let area = encode(&one(thread(7, state))).only(X86_XSTATE);
    assert_eq!(word64(&area, 464), 0x207, "x87, SSE, AVX, PKRU");
}

#[test]
fn what_is_not_known_of_a_thread_is_not_claimed() {
    let mut state = registers(1);
    state.xsave.truncate(512);
    let core = encode(&one(thread(7, state.clone())));
    assert_eq!((core.all(FPREGSET).len(), core.all(X86_XSTATE).len()), (1, 0));
    state.xsave.clear();
    let core = encode(&one(thread(7, state)));
    assert_eq!((core.all(FPREGSET).len(), core.all(X86_XSTATE).len()), (0, 0));
    assert_eq!(word32(&core.only(PRSTATUS), 328), 0, "no floating-point registers");
}

#[test]
fn a_thread_that_could_not_be_stopped_has_what_is_known_of_it() {
    let mut unstoppable = Thread::new(8);
    unstoppable.fallback_sp_ip = Some((0x7000, 0x4000));
    let mut snapshot = one(unstoppable);
    snapshot.threads.push(Thread::new(9));
    let notes = encode(&snapshot).all(PRSTATUS);
    assert_eq!((word64(&notes[0], 112 + 8 * 19), word64(&notes[0], 112 + 8 * 16)), (0x7000, 0x4000));
    assert_eq!((word32(&notes[1], 32), &notes[1][112..]), (9, [0; 224].as_slice()));
}
