//! Whatever the snapshot and the plan: the file can be read, and holds what they say.

use crate::build::{bytes_at, empty, encode_from, full_source, module, registers, thread};
use minidump::{Minidump, MinidumpMemoryList, MinidumpModuleList, MinidumpThreadList, Module as _};
use minidump_snapshot::{MemoryPlan, Module, ModuleId, PlannedRange, Purpose, Snapshot, Thread, ThreadStack};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

fn any_thread() -> impl Strategy<Value = Thread> {
    let xsave = prop_oneof![Just(0_usize), 1_usize..600, Just(832), Just(2696)];
    let name = option::of(vec(any::<u8>(), 0..20));
    (any::<u64>(), any::<bool>(), xsave, name, option::of(any::<(u64, u64)>())).prop_map(
        |(seed, has_cpu, xsave, name, pointers)| {
            let mut state = registers(seed);
            state.rip = seed;
            state.xsave.resize(xsave, 0x5a);
            let mut thread = if has_cpu { thread(0, state) } else { Thread::new(0) };
            thread.name = name;
            thread.fallback_sp_ip = pointers.filter(|_| !has_cpu);
            thread
        },
    )
}

fn any_threads() -> impl Strategy<Value = Vec<Thread>> {
    btree_map(any::<u32>(), any_thread(), 0..12).prop_map(|threads| {
        let with_id = |(id, thread)| Thread { id, ..thread };
        threads.into_iter().map(with_id).collect()
    })
}

/// Modules that do not overlap: each ends before the next one begins.
fn any_modules() -> impl Strategy<Value = Vec<Module>> {
    let facts = (vec(any::<u8>(), 0..40), option::of(vec(any::<u8>(), 0..40)));
    (btree_set(1_u64..1 << 32, 0..10), vec(facts, 10)).prop_map(|(slots, facts)| {
        let module = |(slot, (path, id)): (u64, (Vec<u8>, Option<Vec<u8>>))| {
            module(slot << 12, 1 + (slot & 0xfff), &path, id.map(ModuleId::BuildId))
        };
        slots.into_iter().zip(facts).map(module).collect()
    })
}

fn any_purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![Just(Purpose::BlamedStack), Just(Purpose::Code), Just(Purpose::Stack), Just(Purpose::Loader)]
}

fn any_plan() -> impl Strategy<Value = MemoryPlan> {
    let start = prop_oneof![0_u64..0x8000, Just(u64::MAX - 0x3000), 0x7fff_0000_0000_u64..0x7fff_0000_4000];
    let range = (start, 1_u64..0x2000, any_purpose());
    let stack = (any::<u32>(), any::<prop::sample::Index>());
    (vec(range, 0..10), vec(stack, 0..5)).prop_map(|(ranges, stacks)| {
        let ranges: Vec<_> =
            ranges.into_iter().map(|(start, size, purpose)| PlannedRange { start, size, purpose }).collect();
        let stack = |(thread, index): (u32, prop::sample::Index)| {
            let range = ranges.get(index.index(ranges.len().max(1)))?;
            Some(ThreadStack { thread, start: range.start, size: range.size })
        };
        let stacks = stacks.into_iter().filter_map(stack).collect();
        MemoryPlan::from_ranges(ranges, stacks)
    })
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    (any_threads(), any_modules(), any::<u64>(), option::of(any::<prop::sample::Index>())).prop_map(
        |(threads, modules, captured_at_us, blamed)| {
            let mut snapshot = empty();
            let blamed = blamed.and_then(|index| threads.get(index.index(threads.len().max(1))));
            snapshot.blamed_thread = blamed.map(|thread| thread.id);
            snapshot.threads = threads;
            snapshot.modules = modules;
            snapshot.captured_at_us = captured_at_us;
            snapshot
        },
    )
}

proptest! {
    #[test]
    fn the_file_holds_what_snapshot_and_plan_say(snapshot in any_snapshot(), plan in any_plan()) {
        let raw = encode_from(&snapshot, &plan, &full_source(&plan));
        let dump = Minidump::read(raw.bytes.as_slice()).unwrap();

        let threads = dump.get_stream::<MinidumpThreadList<'_>>().unwrap();
        let found: Vec<u32> = threads.threads.iter().map(|thread| thread.raw.thread_id).collect();
        let expected: Vec<u32> = snapshot.threads.iter().map(|thread| thread.id).collect();
        prop_assert_eq!(found, expected);
        let system = dump.get_stream::<minidump::MinidumpSystemInfo>().unwrap();
        for (found, expected) in threads.threads.iter().zip(&snapshot.threads) {
            let ip = found.context(&system, None).map(|context| context.get_instruction_pointer());
            prop_assert_eq!(ip, expected.instruction_pointer());
        }

        let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
        let found: Vec<_> = modules.iter().map(|module| (module.base_address(), module.size())).collect();
        let expected: Vec<_> = snapshot.modules.iter().map(|module| (module.base, module.size)).collect();
        prop_assert_eq!(found, expected);

        let memory = dump.get_stream::<MinidumpMemoryList<'_>>().unwrap();
        let found: Vec<_> = memory.iter().map(|memory| (memory.base_address, memory.bytes.to_vec())).collect();
        let expected: Vec<_> =
            plan.ranges().iter().map(|range| (range.start, bytes_at(range.start, range.size))).collect();
        prop_assert!(found == expected, "memory bytes");

        let memory = minidump::UnifiedMemoryList::Memory(memory);
        for stack in plan.stacks() {
            let Some(thread) = threads.get_thread(stack.thread) else { continue };
            let found = thread.stack_memory(&memory).unwrap();
            let stack = plan.stack_of(stack.thread).unwrap();
            prop_assert_eq!(found.base_address(), stack.start);
            prop_assert!(found.bytes() == bytes_at(stack.start, stack.size), "stack bytes");
        }
    }
}
