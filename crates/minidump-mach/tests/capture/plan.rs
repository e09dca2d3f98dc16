//! Which memory is kept for which format.

use crate::fixture::*;
use minidump_mach::sim::{SimArch, SimTask, SimThread, SyntheticImage};
use minidump_mach::{
    CaptureOptions, Captured, CrashedThread, ImageHeaders, MachCrash, MachException, PlanKind,
};
use minidump_snapshot::cpu::{Amd64State, Arm64State};
use minidump_snapshot::{MemoryMode, MemoryPolicy, Purpose};

fn core() -> CaptureOptions {
    CaptureOptions { plan: PlanKind::Core, ..CaptureOptions::default() }
}

fn holds(captured: &Captured<'_>, address: u64) -> bool {
    captured.plan.ranges().iter().any(|range| range.start <= address && address < range.end())
}

/// Asserts that exactly eight bytes around a return address are kept, and that they are the target's.
fn assert_return(task: &SimTask, captured: &Captured<'_>, address: u64) {
    assert!((address - 4..address + 4).all(|byte| holds(captured, byte)), "{address:#x}");
    assert_eq!(memory(captured, address - 4, 8), task.peek(address - 4, 8), "{address:#x}");
}

#[test]
fn a_core_has_eight_bytes_at_every_return_address() {
    let task = task();
    let captured = captured_with(&task, &core(), None);
    for address in MAIN_CALLERS.into_iter().chain(IDLE_CALLERS).chain([IDLE_LR, main_cpu().lr]) {
        assert_return(&task, &captured, address);
    }
    for address in IDLE_CALLERS.into_iter().chain([IDLE_LR]) {
        assert!(!holds(&captured, address - 5) && !holds(&captured, address + 4), "no more than that");
    }
    assert!(captured.is_complete());
    assert_threads(&captured);
}

#[test]
fn code_between_return_addresses_is_kept_where_that_is_shorter_than_another_segment() {
    // A thread behind a system call at 0x2064 stands between two of them.
    let code = [[0x90; 0x60].as_slice(), &0xd400_1001_u32.to_le_bytes(), &[0x90; 0x400]].concat();
    let lib = SyntheticImage::library(KERNEL_PATH).code(&code);
    let (sp, callers) =
        (MAIN_STACK.0 + 0x7_0000, [0x2050, 0x2078, 0x2100, 0x2148, 0x2192].map(|at| LIB + at));
    let cpu = Arm64State { pc: LIB + 0x2064, sp, fp: sp + 16, lr: LIB + 0x2300, ..Arm64State::default() };
    let task = SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .image(&lib, LIB)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .frames(sp + 16, 16, &callers)
        .thread(SimThread::new(1).with_cpu(&arm(cpu)))
        .build()
        .unwrap();
    let captured = captured_with(&task, &core(), None);
    let code = captured.plan.ranges().iter().filter(|range| range.purpose == Purpose::Code);
    let mut code: Vec<_> = code.map(|range| (range.start - LIB, range.end() - LIB)).collect();
    code.sort_unstable();
    let expected = [(0x204c, 0x2054), (0x2074, 0x207c), (0x20fc, 0x214c), (0x218e, 0x2196), (0x22fc, 0x2304)];
    assert_eq!(code, expected, "64 bytes between are kept, and 66 are not");
    assert_eq!(memory(&captured, LIB + 0x20fc, 0x50), task.peek(LIB + 0x20fc, 0x50));
}

#[test]
fn a_core_has_no_byte_at_the_pc_of_a_thread_in_a_system_call() {
    let task = task();
    let captured = captured_with(&task, &core(), None);
    assert!(!holds(&captured, IDLE_PC));
    assert!(holds(&captured, MAIN_PC), "whose function has a frame record");
    assert_eq!(memory(&captured, MAIN_PC, 4).as_deref(), Some(&[0x12; 4][..]));
}

#[test]
fn a_minidump_has_code_around_every_pc() {
    let task = task();
    let captured = captured(&task);
    for pc in [IDLE_PC, MAIN_PC] {
        assert_eq!(memory(&captured, pc - 256, 512), task.peek(pc - 256, 512));
    }
    assert!(!holds(&captured, EXE + 0x2080), "no return addresses");
}

#[test]
fn x86_64_threads_in_a_system_call_have_their_caller_on_the_stack() {
    let stack = (0x7ff7_b000_0000_u64, 0x8000);
    let rsp = stack.0 + 0x7000;
    let code: Vec<u8> = [&[0xb8, 1, 0, 0, 2, 0x0f, 0x05, 0xc3][..], &[0x90; 0x400]].concat();
    let lib = SyntheticImage::library(KERNEL_PATH).code(&code);
    let cpu = Amd64State { rip: LIB + 0x2007, rsp, rbp: rsp + 0x40, ..Amd64State::default() };
    let task = SimTask::builder(SimArch::Amd64)
        .image(&exe(), EXE)
        .image(&lib, LIB)
        .stack(stack.0, stack.1)
        .word(rsp, LIB + 0x2100)
        .frames(rsp + 0x40, 0x40, &[EXE + 0x2040])
        .thread(SimThread::new(1).with_cpu(&amd(cpu)))
        .build()
        .unwrap();
    let captured = captured_with(&task, &core(), None);
    assert!(!holds(&captured, LIB + 0x2007));
    assert_return(&task, &captured, LIB + 0x2100);
    assert_return(&task, &captured, EXE + 0x2040);
}

/// `__unwind_info` with one regular page: at each distance from the header a function with that encoding.
fn unwind_info(functions: &[(u32, u32)]) -> Vec<u8> {
    // Header, two index entries (the second is the end), page.
    let mut words = vec![1, 28, 0, 28, 0, 28, 2];
    words.extend([functions[0].0, 52, 0, 0x4000, 0, 0]);
    words.extend([2, 8 | u32::try_from(functions.len()).unwrap() << 16]);
    words.extend(functions.iter().flat_map(|(function, bits)| [*function, *bits]));
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// The same as a compressed page, with one common encoding and the others of the page.
fn compressed_info(functions: &[(u32, u32)]) -> Vec<u8> {
    let count = u32::try_from(functions.len()).unwrap();
    let first = functions[0].0;
    let mut words = vec![1, 28, 1, 32, 0, 32, 2, functions[0].1];
    words[5] = 32;
    words.extend([first, 56, 0, 0x4000, 0, 0]);
    // Kind, offset and count of entries, offset and count of encodings.
    words.extend([3, 0xc | count << 16, (0xc + 4 * count) | (count - 1) << 16]);
    words.extend(
        functions
            .iter()
            .enumerate()
            .map(|(index, (function, _))| (function - first) | u32::try_from(index).unwrap() << 24),
    );
    words.extend(functions.iter().skip(1).map(|(_, bits)| *bits));
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A task whose only thread is at `pc` of a library with that unwind information; its caller's return address is `LR`.
fn task_in_function(arch: SimArch, info: &[u8], pc: u64) -> SimTask {
    let lib =
        SyntheticImage::library(LIB_PATH).code(&[0x90; 0x1000]).text_section("__unwind_info", 0x1000, info);
    let (fp, sp) = (MAIN_STACK.0 + 0x7_0040, MAIN_STACK.0 + 0x7_0000);
    let cpu = match arch {
        SimArch::Amd64 => amd(Amd64State { rip: pc, rsp: sp, rbp: fp, ..Amd64State::default() }),
        _ => arm(Arm64State { pc, sp, fp, lr: LIB + 0x2f00, ..Arm64State::default() }),
    };
    SimTask::builder(arch)
        .image(&exe(), EXE)
        .image(&lib, LIB)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .word(sp, LIB + 0x2f00)
        .frames(fp, 0x40, &[EXE + 0x2040])
        .thread(SimThread::new(1).with_cpu(&cpu))
        .build()
        .unwrap()
}

#[test]
fn compact_unwind_information_tells_which_functions_have_no_record() {
    // Function with a record, leaf, function with DWARF, function without information.
    let arm = [(0x2000, 0x0400_0000), (0x2100, 0x0200_1000), (0x2200, 0x0300_0000), (0x2300, 0)];
    let amd = [(0x2000, 0x0100_0000), (0x2100, 0x0201_0000), (0x2200, 0x0400_0000), (0x2300, 0)];
    for (arch, functions) in [(SimArch::Arm64, arm), (SimArch::Amd64, amd)] {
        for info in [unwind_info(&functions), compressed_info(&functions)] {
            // Offset of the instruction pointer, and whether the caller would be lost with bytes at it.
            for (offset, frameless) in [
                (0x2010, false),
                (0x2100, true),
                (0x2110, true),
                (0x21ff, true),
                (0x2210, false),
                (0x2310, false),
            ] {
                let task = task_in_function(arch, &info, LIB + offset);
                let captured = captured_with(&task, &core(), None);
                assert_eq!(captured.snapshot.soft_errors, []);
                assert_eq!(!holds(&captured, LIB + offset), frameless, "{arch:?} {offset:#x}");
                assert_return(&task, &captured, EXE + 0x2040);
                if frameless {
                    assert_return(&task, &captured, LIB + 0x2f00);
                }
            }
        }
    }
}

#[test]
fn at_its_first_instruction_no_function_has_a_record() {
    let functions = [(0x2000, 0x0400_0000), (0x2100, 0x0400_0000)];
    let task = task_in_function(SimArch::Arm64, &unwind_info(&functions), LIB + 0x2100);
    assert!(!holds(&captured_with(&task, &core(), None), LIB + 0x2100));
}

#[test]
fn an_x86_64_function_that_puts_something_on_the_stack_has_its_caller_elsewhere() {
    // STACK_IMMD with three words: [rsp] is no return address.
    let functions = [(0x2000, 0x0203_0000), (0x2f00, 0)];
    let task = task_in_function(SimArch::Amd64, &unwind_info(&functions), LIB + 0x2010);
    assert!(holds(&captured_with(&task, &core(), None), LIB + 0x2010));
}

#[test]
fn unwind_information_that_makes_no_sense_is_ignored() {
    let functions = [(0x2000, 0x0400_0000), (0x2100, 0x0200_1000)];
    let good = unwind_info(&functions);
    let spoilt: [(usize, u32); 6] =
        [(0, 2), (20, u32::MAX), (24, u32::MAX), (32, u32::MAX), (52, 9), (56, u32::MAX)];
    for (offset, word) in spoilt {
        let mut info = good.clone();
        info[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
        let task = task_in_function(SimArch::Arm64, &info, LIB + 0x2110);
        let captured = captured_with(&task, &core(), None);
        assert_eq!(captured.snapshot.threads.len(), 1);
        assert_return(&task, &captured, EXE + 0x2040);
    }
}

#[test]
fn a_call_of_a_null_pointer_has_its_caller_in_the_link_register() {
    let cpu = Arm64State { pc: 0, ..main_cpu() };
    let task = without_threads().thread(SimThread::new(1).with_cpu(&arm(cpu))).build().unwrap();
    let captured = captured_with(&task, &core(), None);
    assert_return(&task, &captured, main_cpu().lr);
    assert_return(&task, &captured, EXE + 0x2080);
}

#[test]
fn signed_return_addresses_lead_to_code() {
    let signed = |address: u64| address | 0x1234 << 48;
    let cpu = Arm64State { lr: signed(main_cpu().lr), ..main_cpu() };
    let task = SimTask::builder(SimArch::Arm64e)
        .image(&exe(), EXE)
        .image(&lib(), LIB)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .frames(cpu.fp, 0x40, &MAIN_CALLERS.map(signed))
        .thread(SimThread::new(1).with_cpu(&arm(cpu)))
        .build()
        .unwrap();
    let captured = captured_with(&task, &core(), None);
    for address in MAIN_CALLERS.into_iter().chain([main_cpu().lr]) {
        assert_return(&task, &captured, address);
    }
}

/// A task whose chain of frame records is changed by `change`, and what its core holds.
fn with_chain(change: impl Fn(&SimTask, u64)) -> (SimTask, u64) {
    let task = task();
    let fp = main_cpu().fp;
    change(&task, fp);
    (task, fp)
}

#[test]
fn a_cyclic_chain_ends() {
    let (task, _) = with_chain(|task, fp| assert_eq!(task.poke(fp + 0x40, &fp.to_le_bytes()), 8));
    let captured = captured_with(&task, &core(), None);
    assert_return(&task, &captured, MAIN_CALLERS[1]);
    assert!(!holds(&captured, MAIN_CALLERS[2]));
}

#[test]
fn a_record_that_is_its_own_successor_ends_the_chain() {
    let (task, _) = with_chain(|task, fp| assert_eq!(task.poke(fp, &fp.to_le_bytes()), 8));
    let captured = captured_with(&task, &core(), None);
    assert_return(&task, &captured, MAIN_CALLERS[0]);
    assert!(!holds(&captured, MAIN_CALLERS[1]));
}

#[test]
fn a_chain_that_descends_leaves_the_stack_or_is_not_aligned_ends() {
    let (stack, end) = (MAIN_STACK.0, MAIN_STACK.0 + MAIN_STACK.1);
    for next in [stack, end, end - 8, 0x6666_0000_0000, u64::MAX, main_cpu().fp + 0x43] {
        let (task, _) = with_chain(|task, fp| assert_eq!(task.poke(fp, &next.to_le_bytes()), 8));
        let captured = captured_with(&task, &core(), None);
        assert_return(&task, &captured, MAIN_CALLERS[0]);
        assert!(!holds(&captured, MAIN_CALLERS[1]), "{next:#x}");
        assert_threads_but_the_chain(&captured);
    }
}

fn assert_threads_but_the_chain(captured: &Captured<'_>) {
    assert_registers(thread(captured, MAIN_ID), &main_cpu());
    assert_stack(captured, idle_cpu().fp, 0x80, &IDLE_CALLERS);
}

#[test]
fn return_addresses_that_are_none_are_left_out() {
    for address in [0, 1, 0x6666_0000_0000, MAIN_STACK.0, EXE + 0x4000, u64::MAX] {
        let (task, _) = with_chain(|task, fp| assert_eq!(task.poke(fp + 8, &address.to_le_bytes()), 8));
        let captured = captured_with(&task, &core(), None);
        let code = captured.plan.ranges().iter().filter(|range| range.purpose == Purpose::Code);
        for range in code {
            let region = captured.snapshot.region_at(range.start).unwrap();
            assert!(region.protection.contains(minidump_snapshot::Protection::EXECUTE));
        }
        assert_return(&task, &captured, MAIN_CALLERS[2]);
    }
}

#[test]
fn a_return_address_at_the_end_of_a_region_does_not_reach_over_it() {
    let (task, _) = with_chain(|task, fp| assert_eq!(task.poke(fp + 8, &(EXE + 0x3ffe).to_le_bytes()), 8));
    let captured = captured_with(&task, &core(), None);
    assert!(holds(&captured, EXE + 0x3fff) && !holds(&captured, EXE + 0x4000));
    assert!(captured.is_complete());
}

#[test]
fn headers_of_images_are_kept_on_request() {
    let task = task();
    let size = |base: u64, captured: &Captured<'_>| {
        captured.snapshot.apple.as_ref().unwrap().image_at(base).unwrap().header_size
    };
    let none = captured_with(&task, &core(), None);
    assert!(!holds(&none, EXE));
    let options = CaptureOptions { image_headers: ImageHeaders::Executing, ..core() };
    let executing = captured_with(&task, &options, None);
    assert!(holds(&executing, EXE) && !holds(&executing, BUNDLE));
    let header = memory(&executing, EXE, size(EXE, &executing) as usize).unwrap();
    assert_eq!(header[..4], 0xfeed_facf_u32.to_le_bytes());
    assert!(!holds(&executing, EXE + size(EXE, &executing)), "not a byte more");
    let options = CaptureOptions { image_headers: ImageHeaders::All, ..core() };
    let all = captured_with(&task, &options, None);
    assert!(holds(&all, BUNDLE) && holds(&all, DYLD));
}

#[test]
fn the_place_of_the_crash_does_not_bring_back_bytes_at_a_frameless_pc() {
    let task = task();
    // An exception without address is told to be at the instruction pointer.
    let crash = MachCrash {
        thread: CrashedThread::Id(IDLE_ID),
        exception: Some(MachException { kind: 10, codes: [0x0600_0000, 0] }),
        states: Vec::new(),
    };
    let captured = captured_with(&task, &core(), Some(&crash));
    assert_eq!(captured.snapshot.exception.as_ref().unwrap().address, IDLE_PC);
    assert!(!holds(&captured, IDLE_PC));
    assert_return(&task, &captured, IDLE_LR);
}

#[test]
fn a_budget_cuts_code_after_stacks() {
    let task = task();
    let memory = MemoryPolicy { budget: 2500, ..MemoryPolicy::default() };
    let options = CaptureOptions { memory, image_headers: ImageHeaders::All, ..core() };
    let captured = captured_with(&task, &options, None);
    assert!(captured.plan.total() <= 2500, "{}", captured.plan.total());
    assert_error(&captured, minidump_snapshot::Stage::Memory, "pieces of code were left out");
    assert_registers(thread(&captured, MAIN_ID), &main_cpu());
}

#[test]
fn memory_around_pointers_is_kept_where_that_is_asked_for() {
    let cpu = {
        let mut cpu = main_cpu();
        cpu.x[0] = 0x7_0000_1000;
        cpu
    };
    let task = without_threads()
        .region(0x7_0000_0000, 0x4000, minidump_mach::sim::SimRegion::data(1))
        .bytes(0x7_0000_1000, b"pointed to")
        .thread(SimThread::new(1).with_cpu(&arm(cpu)))
        .build()
        .unwrap();
    let memory_policy = MemoryPolicy { mode: MemoryMode::Indirect, ..MemoryPolicy::default() };
    for plan in [PlanKind::Minidump, PlanKind::Core] {
        let options = CaptureOptions { plan, memory: memory_policy.clone(), ..CaptureOptions::default() };
        let captured = captured_with(&task, &options, None);
        assert_eq!(memory(&captured, 0x7_0000_1000, 10).as_deref(), Some(&b"pointed to"[..]));
        assert!(captured.is_complete());
    }
}

#[test]
fn what_the_application_asks_for_is_kept() {
    let task =
        builder().region(0x7_0000_0000, 0x4000, minidump_mach::sim::SimRegion::data(1)).build().unwrap();
    task.poke(0x7_0000_0100, b"state");
    let policy = MemoryPolicy { application: vec![(0x7_0000_0100, 5)], ..MemoryPolicy::default() };
    for plan in [PlanKind::Minidump, PlanKind::Core] {
        let options = CaptureOptions { plan, memory: policy.clone(), ..CaptureOptions::default() };
        let captured = captured_with(&task, &options, None);
        assert_eq!(memory(&captured, 0x7_0000_0100, 5).as_deref(), Some(&b"state"[..]));
    }
}
