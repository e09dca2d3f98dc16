//! Whatever the snapshot and the plan: the core can be read, and holds what they say.

use crate::build::{
    amd64_registers, amd64_thread, arm64_registers, bytes_at, empty, empty_amd64, encode_from, image, module,
    region, segment, thread,
};
use crate::parse::{word32, word64};
use crate::restore::restored;
use minidump_snapshot::{
    CpuState, FaultState, MemoryPlan, Module, PlannedRange, Protection, Purpose, Region, Snapshot, Thread,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// A thread, and whether its registers are known.
fn any_thread(is_arm64: bool) -> impl Strategy<Value = Thread> {
    let fault = (any::<u64>(), any::<u32>(), any::<u32>())
        .prop_map(|(address, syndrome, number)| FaultState { address, syndrome, number, cpu: 1 });
    let facts = (option::of(fault), any::<bool>(), option::of(vec(any::<u8>(), 0..12)), 0_usize..600);
    (any::<u64>(), any::<bool>(), facts, option::of(any::<(u64, u64)>())).prop_map(
        move |(seed, has_cpu, (fault, has_vector, name, xsave), pointers)| {
            let mut thread = if is_arm64 {
                let mut state = arm64_registers(seed);
                state.vector = state.vector.filter(|_| has_vector);
                thread(0, state)
            } else {
                let mut state = amd64_registers(seed);
                state.xsave.resize(xsave, 0x5a);
                amd64_thread(0, state)
            };
            thread.name = name;
            thread.cpu = thread.cpu.filter(|_| has_cpu);
            thread.fallback_sp_ip = pointers.filter(|_| !has_cpu);
            thread.apple.as_mut().unwrap().fault = fault;
            thread
        },
    )
}

fn any_threads(is_arm64: bool) -> impl Strategy<Value = Vec<Thread>> {
    btree_map(any::<u32>(), any_thread(is_arm64), 0..12)
        .prop_map(|threads| threads.into_iter().map(|(id, thread)| Thread { id, ..thread }).collect())
}

/// Regions that do not overlap, some of them adjacent.
fn any_regions() -> impl Strategy<Value = Vec<Region>> {
    btree_map(0_u64..64, (1_u64..3, 0_u8..8), 0..20).prop_map(|regions| {
        let mut floor = 0;
        let mut result = Vec::new();
        for (page, (pages, rights)) in regions {
            let start = (page << 12).max(floor);
            floor = start + (pages << 12);
            result.push(region(start, floor, Protection::from_bits_truncate(rights)));
        }
        result
    })
}

fn any_modules() -> impl Strategy<Value = Vec<Module>> {
    vec((any::<u64>(), vec(any::<u8>(), 0..20), any::<u8>(), any::<bool>()), 0..8).prop_map(|modules| {
        let module = |(base, path, uuid, is_main): (u64, Vec<u8>, u8, bool)| Module {
            is_main,
            ..module(base, &path, uuid)
        };
        modules.into_iter().map(module).collect()
    })
}

fn any_plan() -> impl Strategy<Value = MemoryPlan> {
    let purpose = prop_oneof![
        Just(Purpose::BlamedStack),
        Just(Purpose::Code),
        Just(Purpose::Stack),
        Just(Purpose::Loader)
    ];
    let start = prop_oneof![0_u64..0x4_8000, Just(u64::MAX - 0x3000)];
    vec((start, 1_u64..0x2000, purpose), 0..10).prop_map(|ranges| {
        let range = |(start, size, purpose)| PlannedRange { start, size, purpose };
        MemoryPlan::from_ranges(ranges.into_iter().map(range).collect(), vec![])
    })
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let threads = any::<bool>().prop_flat_map(|is_arm64| (Just(is_arm64), any_threads(is_arm64)));
    let blamed = option::of(any::<prop::sample::Index>());
    (threads, any_regions(), any_modules(), blamed, option::of(any::<u8>())).prop_map(
        |((is_arm64, threads), regions, modules, blamed, bits)| {
            let mut snapshot = if is_arm64 { empty() } else { empty_amd64() };
            let blamed = blamed.and_then(|index| threads.get(index.index(threads.len().max(1))));
            snapshot.blamed_thread = blamed.map(|thread| thread.id);
            let facts = snapshot.apple.as_mut().unwrap();
            facts.address_bits = bits;
            let segments = |base| vec![segment(b"__TEXT", base, 1, Protection::READ)];
            facts.images =
                modules.iter().map(|module| image(module.base, 0, segments(module.base))).collect();
            facts.images.sort_by_key(|image| image.base);
            snapshot.threads = threads;
            snapshot.regions = regions;
            snapshot.modules = modules;
            snapshot
        },
    )
}

/// An XSAVE area that has not even an FXSAVE image has no place in a core.
fn without_short_areas(mut snapshot: Snapshot) -> Snapshot {
    for thread in &mut snapshot.threads {
        if let Some(CpuState::Amd64(state)) = &mut thread.cpu
            && state.fxsave().is_none()
        {
            state.xsave.clear();
        }
    }
    snapshot
}

/// Ids and instruction pointers of the threads that have registers, in the order of the file.
fn expected_threads(snapshot: &Snapshot) -> Vec<(u64, u64)> {
    let id = |thread: &Thread| thread.apple.as_ref().unwrap().id;
    let ip = |thread: &Thread| Some((id(thread), thread.instruction_pointer()?));
    let is_first = |thread: &&Thread| Some(thread.id) == snapshot.blamed_thread;
    let first = snapshot.threads.iter().filter(is_first);
    let others = snapshot.threads.iter().filter(|thread| !is_first(thread));
    first.chain(others).filter_map(ip).collect()
}

proptest! {
    #[test]
    fn the_core_holds_what_snapshot_and_plan_say(snapshot in any_snapshot(), plan in any_plan()) {
        // The parser checks bounds, order and overlaps.
        let core = encode_from(&snapshot, &plan);

        let text = String::from_utf8(core.note("process metadata").unwrap().contents.clone()).unwrap();
        let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(metadata.to_string(), text, "as serde_json writes it");
        let ids = metadata["threads"].as_array().unwrap().iter().map(|thread| thread["thread_id"].as_u64().unwrap());
        let ip = |sets: &Vec<crate::parse::Registers>| match &sets[0] {
            (6, registers) => word64(registers, 32 * 8),
            (4, registers) => word64(registers, 16 * 8),
            (other, _) => unreachable!("flavor {other}"),
        };
        let found: Vec<(u64, u64)> = ids.zip(core.threads.iter().map(ip)).collect();
        prop_assert_eq!(found.len(), core.threads.len());
        prop_assert_eq!(found, expected_threads(&snapshot));

        prop_assert_eq!(core.segments.iter().map(|segment| segment.size).sum::<u64>(), plan.total());
        for segment in &core.segments {
            let bytes = core.memory(segment.address, segment.size).unwrap();
            prop_assert!(bytes == bytes_at(segment.address, segment.size), "memory bytes");
            let end = segment.address + segment.size;
            let planned =
                plan.ranges().iter().any(|range| range.start <= segment.address && end <= range.end());
            prop_assert!(planned);
            let mut address = segment.address;
            while address < end {
                let region = snapshot.region_at(address);
                let rights = region.map_or(Protection::READ, |region| region.protection);
                prop_assert_eq!(segment.protection, u32::from(rights.bits()));
                address = (address | 0xfff).saturating_add(1);
            }
        }
        if !snapshot.modules.is_empty() {
            let images = core.note("all image infos").unwrap();
            prop_assert_eq!(word32(&images.contents, 4) as usize, snapshot.modules.len());
        }
        prop_assert_eq!(restored(&snapshot, &core), without_short_areas(snapshot));
        let told: u64 = core.own().plan().purposes.iter().map(|(_, size)| size).sum();
        prop_assert_eq!(told, plan.total());
    }
}
