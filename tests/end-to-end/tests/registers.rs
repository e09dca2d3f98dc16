//! Registers are proven: a thread holds known values in all of them, and the dump holds exactly these.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use end_to_end::extended::word64;
use end_to_end::known_registers::{assert_avx, assert_general, assert_low_halves, assert_x87_and_sse, list};
use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Dump, Target, dump, needs};
use std::ffi::c_void;

#[test]
fn general_registers_and_flags_are_exact() {
    let (mut target, dump, tid) = spinning("sse");
    let context = dump.context(tid).expect("the thread has registers");
    assert_general(&context, &target.facts);
    assert_eq!((context.cs, context.ss), (0x33, 0x2b), "the selectors of Linux' user mode");
    assert_eq!(
        context.context_flags & 0x0010_000f,
        0x0010_000f,
        "control, integer, segments, floating point"
    );
    assert_unharmed(&mut target);
}

#[test]
fn segment_bases_are_exact() {
    let (target, dump, tid) = spinning("sse");
    assert_eq!(dump.segment_bases(tid), Some((target.number("fs_base"), target.number("gs_base"))));
}

#[test]
fn x87_and_sse_are_exact() {
    let (target, dump, tid) = spinning("sse");
    let context = dump.context(tid).expect("the thread has registers");
    assert_x87_and_sse(&context, &target.facts);
}

#[test]
fn avx_is_exact() {
    if !is_x86_feature_detected!("avx") {
        return needs::not_here("avx_is_exact", "the processor has no AVX");
    }
    let (target, dump, tid) = spinning("avx");
    assert_eq!(list(&target.facts["vectors"]).count(), 16);
    assert_low_halves(&dump, tid, &target.facts);
    let area = dump.xsave(tid).expect("the thread has an XSAVE area");
    assert_ne!(word64(&area, 512) & 4, 0, "XSTATE_BV names AVX");
    assert_avx(&dump, &area, &target.facts);
}

#[test]
fn avx_512_is_exact() {
    if !(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")) {
        return needs::not_here("avx_512_is_exact", "the processor has no AVX-512");
    }
    let (target, dump, tid) = spinning("avx512");
    assert_eq!(list(&target.facts["vectors"]).count(), 32);
    assert_low_halves(&dump, tid, &target.facts);
    let area = dump.xsave(tid).expect("the thread has an XSAVE area");
    assert_eq!(word64(&area, 512) & 0xe4, 0xe4, "XSTATE_BV names AVX, opmasks and both halves of AVX-512");
    assert_avx(&dump, &area, &target.facts);
    let (opmasks, _) = dump.xsave_component(5);
    for (index, value) in target.facts["opmasks"].as_array().unwrap().iter().enumerate() {
        assert_eq!(Some(word64(&area, opmasks + 8 * index)), value.as_u64(), "K{index}");
    }
    let ((low, _), (high, _)) = (dump.xsave_component(6), dump.xsave_component(7));
    for (index, value) in list(&target.facts["vectors"]).enumerate() {
        if index < 16 {
            assert_eq!(area[low + 32 * index..][..32], value[32..], "upper half of ZMM{index}");
        } else {
            assert_eq!(area[high + 64 * (index - 16)..][..64], value, "ZMM{index}");
        }
    }
}

#[test]
fn debug_registers_are_there_when_in_use() {
    let target = Target::start(["threads", "2"]);
    let parked = target.parked();
    let (watched, other) = (parked[0].tid, parked[1].tid);
    let (_, address, _) = &parked[0].frames[0];
    // DR7: local breakpoint 0, on writes, of four bytes. Nobody writes there, so it never fires; it stays when the
    // tracer goes.
    let settings = [(0, *address), (7, 0x000d_0001)];
    set_debug_registers(watched.try_into().unwrap(), &settings);
    let dump = dump(target.pid());
    let context = dump.context(watched).unwrap();
    assert_eq!((context.dr0, context.dr7 & 0x000f_0003), (*address, 0x000d_0001));
    assert_eq!(context.context_flags & 0x10, 0x10, "the context says that it has them");
    let plain = dump.context(other).unwrap();
    assert_eq!((plain.dr7, plain.context_flags & 0x10), (0, 0), "an ordinary thread has none");
}

#[test]
fn debug_registers_of_all_threads_are_there_when_the_first_uses_them() {
    let target = Target::start(["threads", "20"]);
    let parked = target.parked();
    let (_, address, _) = &parked[0].frames[0];
    let last = parked.last().unwrap().tid;
    // A debugger sets them in every thread; those that follow the first few are only asked when one of these has some.
    let settings = [(0, *address), (7, 0x000d_0001)];
    set_debug_registers(target.pid(), &settings);
    set_debug_registers(last.try_into().unwrap(), &settings);
    let dump = dump(target.pid());
    for tid in [target.pid().unsigned_abs(), last] {
        let context = dump.context(tid).unwrap();
        assert_eq!((context.dr0, context.dr7 & 0x000f_0003), (*address, 0x000d_0001), "{tid}");
    }
}

#[test]
fn debug_registers_of_the_thread_that_was_named_are_always_there() {
    let target = Target::start(["threads", "20"]);
    let parked = target.parked();
    let (_, address, _) = &parked[0].frames[0];
    let last = parked.last().unwrap().tid;
    set_debug_registers(last.try_into().unwrap(), &[(0, *address), (7, 0x000d_0001)]);
    let dump = dump(last.try_into().unwrap());
    assert_eq!(dump.context(last).unwrap().dr0, *address);
}

/// Sets debug registers of a thread: number and value.
fn set_debug_registers(tid: i32, values: &[(usize, u64)]) {
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: these requests take numbers; waitpid writes no status.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, tid, none, none), 0);
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, tid, none, none), 0);
        assert_eq!(libc::waitpid(tid, std::ptr::null_mut(), libc::__WALL), tid);
    }
    for (number, value) in values {
        let offset = std::mem::offset_of!(libc::user, u_debugreg) + 8 * number;
        // SAFETY: PTRACE_POKEUSER takes an offset and a word.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_POKEUSER, tid, offset, *value) }, 0);
    }
    // SAFETY: as above.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_DETACH, tid, none, none) }, 0);
}

#[track_caller]
fn spinning(level: &str) -> (Target, Dump, u32) {
    let target = Target::start(["registers", level]);
    let tid = target.tid("tid");
    let dump = dump(target.pid());
    (target, dump, tid)
}
