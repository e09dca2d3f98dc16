//! Any bytes in any structure: the capture ends, and gives a snapshot that holds what it promises.

use crate::fixture::*;
use minidump_mach::sim::{Call, Effect, SimArch, SimTask, SyntheticImage, When};
use minidump_mach::{
    CaptureOptions, CrashedThread, ImageHeaders, KernReturn, MachCrash, MachException, PlanKind, RawState,
    capture,
};
use minidump_snapshot::{MemoryMode, MemoryPolicy};
use proptest::prelude::*;

/// Where structures lie that a capture follows, and how large they are.
fn places(task: &SimTask) -> Vec<(u64, u64)> {
    let infos = task.all_image_infos();
    let list = u64::from_le_bytes(task.peek(infos + 8, 8).unwrap().try_into().unwrap());
    vec![
        (infos, 368),
        (list, 5 * 24),
        (LIB, 400),
        (EXE, 400),
        (C_LIB, 500),
        (C_DATA, 0x140),
        (DYLD, 400),
        (LIB + 0x1000, 128),
        (main_cpu().sp, 0x200),
        (idle_cpu().fp, 0x100),
    ]
}

/// A value that is likely to do harm.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<u64>().prop_map(|value| value & 0xff),
        Just(u64::MAX),
        Just(1 << 63),
        Just(0),
        (0_u64..8).prop_map(|index| [
            EXE,
            LIB,
            C_LIB,
            C_DATA,
            DYLD,
            MAIN_STACK.0,
            IDLE_STACK.0,
            LIB + 0x1000
        ][index as usize]),
        (0_u64..0x1000).prop_map(|offset| LIB + offset),
        (0_u64..0x8_0000).prop_map(|offset| MAIN_STACK.0 + offset),
    ]
}

fn options() -> impl Strategy<Value = CaptureOptions> {
    let mode = prop_oneof![Just(MemoryMode::Stacks), Just(MemoryMode::Indirect), Just(MemoryMode::Full)];
    let plan = prop_oneof![Just(PlanKind::Minidump), Just(PlanKind::Core)];
    (mode, plan, prop_oneof![Just(4096), Just(1 << 20)]).prop_map(|(mode, plan, budget)| CaptureOptions {
        plan,
        memory: MemoryPolicy { mode, budget, ..MemoryPolicy::default() },
        image_headers: ImageHeaders::All,
        ..CaptureOptions::default()
    })
}

fn target() -> SimTask {
    let info: Vec<u8> =
        [1_u32, 28, 0, 28, 0, 28, 2, 0x2000, 52, 0, 0x4000, 0, 0, 2, 8 | 1 << 16, 0x2000, 0x0200_0000]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
    let lib = SyntheticImage::library(LIB_PATH).uuid([0x11; 16]).text_section("__unwind_info", 0x1000, &info);
    SimTask::builder(SimArch::Arm64)
        .shared_cache(CACHE, CACHE_SIZE)
        .image(&lib, LIB)
        .image(&kernel_lib(), KERNEL_LIB)
        .image(&c_lib(&crash_info(5, "abort() called", "twice")), C_LIB)
        .image(&exe(), EXE)
        .list("/odd", BUNDLE)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .stack(IDLE_STACK.0, IDLE_STACK.1)
        .frames(main_cpu().fp, 0x40, &MAIN_CALLERS)
        .frames(idle_cpu().fp, 0x80, &IDLE_CALLERS)
        .thread(main_thread())
        .thread(idle_thread())
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn hostile_memory_is_survived(
        writes in prop::collection::vec((0_usize..10, any::<prop::sample::Index>(), 1_usize..9, word()), 1..12),
        options in options(),
    ) {
        let task = target();
        let places = places(&task);
        for (place, offset, size, value) in writes {
            let (start, length) = places[place];
            task.poke(start + offset.index(length as usize) as u64, &value.to_le_bytes()[..size.min(8)]);
        }
        let captured = capture(&task, &options, None).unwrap();
        check(&captured);
        prop_assert_eq!(captured.snapshot.threads.len(), 2);
        assert_registers(thread(&captured, MAIN_ID), &main_cpu());
        assert_registers(thread(&captured, IDLE_ID), &idle_cpu());
        drop(captured);
        prop_assert_eq!(task.suspend_count(), 0);
        prop_assert!(task.calls(Call::Read) < 20_000, "{}", task.calls(Call::Read));
    }

    #[test]
    fn hostile_registers_and_codes_are_survived(
        registers in prop::collection::vec(word(), 33),
        kind in 0_u32..16,
        codes in [word(), word()],
        options in options(),
    ) {
        let task = target();
        let words: Vec<u32> = registers.iter().flat_map(|value| [*value as u32, (*value >> 32) as u32]).chain([0, 0]).collect();
        let crash = MachCrash {
            thread: CrashedThread::Id(IDLE_ID),
            exception: Some(MachException { kind, codes }),
            states: vec![RawState { flavor: 6, words }],
        };
        let captured = capture(&task, &options, Some(&crash)).unwrap();
        check(&captured);
        let exception = captured.snapshot.exception.as_ref().unwrap();
        prop_assert_eq!(&exception.parameters, &[u64::from(kind), codes[0], codes[1]]);
        prop_assert_eq!(captured.snapshot.threads[0].instruction_pointer(), Some(registers[32]));
        drop(captured);
        prop_assert_eq!(task.suspend_count(), 0);
    }

    #[test]
    fn any_mixture_of_faults_is_survived(
        faults in prop::collection::vec((0_usize..9, 1_u64..60, 0_usize..7), 1..6),
        own in any::<bool>(),
        options in options(),
    ) {
        let builder = builder();
        let task = if own { builder.called_by_thread(0) } else { builder }.build().unwrap();
        let calls = [
            Call::Read, Call::Region, Call::Threads, Call::ThreadState, Call::ThreadInfo, Call::TaskInfo, Call::Sysctl,
            Call::Resume, Call::ResumeThread,
        ];
        for (call, nth, effect) in faults {
            let effect = [
                Effect::Fail(KernReturn::FAILURE),
                Effect::Fail(KernReturn::INVALID_ARGUMENT),
                Effect::Short(nth as usize % 5),
                Effect::ThreadEnds(task.port(1)),
                Effect::Unmap(MAIN_STACK.0 + 0x4_0000, MAIN_STACK.0 + MAIN_STACK.1),
                Effect::Stuck,
                Effect::Empty,
            ][effect];
            task.inject(calls[call], When::Nth(nth), effect);
        }
        let captured = capture(&task, &options, None).unwrap();
        check(&captured);
        drop(captured);
        prop_assert_eq!(task.suspend_count(), 0);
        let idle = task.thread_suspend_count(task.port(1));
        prop_assert!(idle.is_none() || idle == Some(0));
    }
}
