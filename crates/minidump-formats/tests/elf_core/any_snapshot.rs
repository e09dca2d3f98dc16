//! Whatever the snapshot and the plan: the core can be read, and holds what they say.

use crate::build::{bytes_at, empty, encode_from, region, registers, thread};
use crate::parse::{word32, word64};
use minidump_snapshot::{MemoryPlan, PlannedRange, Protection, Purpose, Region, Snapshot, Thread};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

const PRSTATUS: u32 = 1;
/// Where RIP lies in `NT_PRSTATUS`.
const RIP: usize = 112 + 8 * 16;

fn any_thread() -> impl Strategy<Value = Thread> {
    let xsave = prop_oneof![Just(0_usize), 1_usize..600, Just(832), Just(2696)];
    (any::<u64>(), any::<bool>(), xsave, option::of(any::<(u64, u64)>())).prop_map(
        |(seed, has_cpu, xsave, pointers)| {
            let mut state = registers(seed);
            state.rip = seed;
            state.xsave.resize(xsave, 0x5a);
            let mut thread = if has_cpu { thread(0, state) } else { Thread::new(0) };
            thread.fallback_sp_ip = pointers.filter(|_| !has_cpu);
            thread
        },
    )
}

fn any_threads() -> impl Strategy<Value = Vec<Thread>> {
    btree_map(any::<u32>(), any_thread(), 0..12)
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
    (any_threads(), any_regions(), option::of(any::<prop::sample::Index>())).prop_map(
        |(threads, regions, blamed)| {
            let mut snapshot = empty();
            let blamed = blamed.and_then(|index| threads.get(index.index(threads.len().max(1))));
            snapshot.blamed_thread = blamed.map(|thread| thread.id);
            snapshot.threads = threads;
            snapshot.regions = regions;
            snapshot
        },
    )
}

proptest! {
    #[test]
    fn the_core_holds_what_snapshot_and_plan_say(snapshot in any_snapshot(), plan in any_plan()) {
        let core = encode_from(&snapshot, &plan);

        let mut found: Vec<(u32, u64)> =
            core.all(PRSTATUS).iter().map(|status| (word32(status, 32), word64(status, RIP))).collect();
        let ip = |thread: &Thread| (thread.id, thread.instruction_pointer().unwrap_or(0));
        let mut expected: Vec<(u32, u64)> = snapshot.threads.iter().map(ip).collect();
        if let Some(blamed) = snapshot.blamed_thread {
            prop_assert_eq!(found[0].0, blamed);
        }
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);

        let loads = core.loads();
        prop_assert!(loads.windows(2).all(|pair| pair[0].address + pair[0].memory_size <= pair[1].address));
        prop_assert!(loads.iter().all(|load| load.file_size == 0 || load.file_size == load.memory_size));
        let mapped: u64 = snapshot.regions.iter().map(Region::size).sum();
        let outside = plan.ranges().iter().map(|range| range.size - mapped_part(&snapshot, range)).sum::<u64>();
        prop_assert_eq!(loads.iter().map(|load| load.memory_size).sum::<u64>(), mapped + outside);
        prop_assert_eq!(loads.iter().map(|load| load.file_size).sum::<u64>(), plan.total());
        for load in loads.iter().filter(|load| load.file_size > 0) {
            let bytes = core.memory(load.address, load.file_size).unwrap();
            prop_assert!(bytes == bytes_at(load.address, load.file_size), "memory bytes");
            let end = load.address + load.file_size;
            let planned = plan.ranges().iter().any(|range| range.start <= load.address && end <= range.end());
            prop_assert!(planned);
        }
        for load in &loads {
            let region = snapshot.region_at(load.address);
            let rights = u32::from(region.map_or(Protection::READ, |region| region.protection).bits());
            // PF_R is 4 and PF_X is 1; here it is the other way round.
            prop_assert_eq!(load.flags, rights & 2 | (rights & 1) << 2 | (rights & 4) >> 2);
        }
    }
}

/// Bytes of the range that are mapped.
fn mapped_part(snapshot: &Snapshot, range: &PlannedRange) -> u64 {
    let overlap = |region: &Region| range.end().min(region.end).saturating_sub(range.start.max(region.start));
    snapshot.regions.iter().map(overlap).sum()
}
