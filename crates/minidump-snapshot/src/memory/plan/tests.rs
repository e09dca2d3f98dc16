mod application;
mod budget;
mod full;
mod pointed_to;
mod referring;

use super::*;
use crate::cpu::Amd64State;
use crate::{
    Cpu, CpuState, DsoDebug, Exception, LinkMap, LinuxFacts, OperatingSystem, Process, Protection, Region,
    RegionKind, System, Thread,
};
use proptest::prelude::*;

fn system() -> System {
    System {
        os: OperatingSystem::Linux,
        version: (6, 1, 0),
        description: "Linux".into(),
        cpu: Cpu::Amd64 {
            vendor: *b"GenuineIntel",
            version_information: 0,
            feature_information: 0,
            extended_features: 0,
            xsave: Vec::new(),
        },
        cpu_count: 2,
        cpu_max_mhz: None,
        page_size: 4096,
        build: "test".into(),
    }
}

fn thread(id: u32, rsp: u64, rip: u64) -> Thread {
    let cpu = CpuState::Amd64(Box::new(Amd64State { rsp, rip, ..Amd64State::default() }));
    Thread { cpu: Some(cpu), ..Thread::new(id) }
}

fn region(start: u64, end: u64, protection: Protection) -> Region {
    Region {
        start,
        end,
        protection,
        shared: false,
        kind: RegionKind::Anonymous,
        dont_dump: false,
        offset: 0,
        name: Vec::new(),
    }
}

const RW: Protection = Protection::READ.union(Protection::WRITE);
const RX: Protection = Protection::READ.union(Protection::EXECUTE);

/// A code region, and `stacks` stacks of 1 MiB with a guard page below each.
fn snapshot(stacks: u32) -> Snapshot {
    let mut snapshot = Snapshot::new(Process { pid: 100, ..Process::default() }, system());
    snapshot.regions.push(region(0x40_0000, 0x41_0000, RX));
    for index in 0..stacks {
        let base = 0x7000_0000 + u64::from(index) * 0x20_0000;
        snapshot.regions.push(region(base, base + 0x1000, Protection::empty()));
        snapshot.regions.push(region(base + 0x1000, base + 0x10_1000, RW));
        snapshot.threads.push(thread(100 + index, base + 0x8000, 0x40_0100 + u64::from(index) * 16));
    }
    snapshot
}

#[test]
fn the_blamed_stack_comes_first_and_is_capped_by_its_own_cap() {
    let mut snapshot = snapshot(3);
    snapshot.blamed_thread = Some(102);
    let policy = MemoryPolicy { blamed_stack_cap: 0x4000, stack_cap: 0x1000, ..MemoryPolicy::default() };
    let mut errors = Vec::new();
    let plan = MemoryPlan::new(&snapshot, &policy, &mut errors);
    assert_eq!(errors, []);
    let first = plan.ranges()[0];
    assert_eq!((first.purpose, first.start), (Purpose::BlamedStack, 0x7040_8000 - 128));
    let stack = plan.stack_of(102).unwrap();
    assert_eq!(
        (stack.start, stack.size),
        (0x7040_8000 - 128, 0x4000 - 0x4000 / 8),
        "head of an overflowing stack"
    );
    assert_eq!(plan.stack_of(101).unwrap().size, 0x1000 - 0x1000 / 8);
    assert_eq!(plan.stack_of(7), None);
}

#[test]
fn overlapping_code_windows_become_one_range() {
    let plan = MemoryPlan::new(&snapshot(8), &MemoryPolicy::default(), &mut Vec::new());
    let code: Vec<_> = plan.ranges().iter().filter(|range| range.purpose == Purpose::Code).collect();
    assert_eq!(code.len(), 1);
    assert_eq!((code[0].start, code[0].end()), (0x40_0000, 0x40_0100 + 7 * 16 + 256));
}

#[test]
fn a_jump_to_null_plans_no_code_and_a_lost_stack_is_reported() {
    let mut snapshot = snapshot(0);
    snapshot.threads.push(thread(5, 0x1234, 0));
    let mut errors = Vec::new();
    let plan = MemoryPlan::new(&snapshot, &MemoryPolicy::default(), &mut errors);
    assert_eq!(plan.ranges(), []);
    assert_eq!((errors.len(), errors[0].thread, errors[0].address), (1, Some(5), Some(0x1234)));
}

#[test]
fn code_is_never_read_from_a_device() {
    let mut snapshot = snapshot(1);
    snapshot.regions[0].kind = RegionKind::Device;
    let plan = MemoryPlan::new(&snapshot, &MemoryPolicy::default(), &mut Vec::new());
    assert!(plan.ranges().iter().all(|range| range.purpose == Purpose::Stack));
}

#[test]
fn over_budget_stacks_are_cut_alike_but_keep_their_stack_pointers() {
    let snapshot = snapshot(64);
    let policy = MemoryPolicy { budget: 1 << 20, ..MemoryPolicy::default() };
    let mut errors = Vec::new();
    let plan = MemoryPlan::new(&snapshot, &policy, &mut errors);
    assert!(plan.total() <= (1 << 20) + 0x1_0000, "{}", plan.total());
    assert_eq!(errors.len(), 1);
    for thread in &snapshot.threads {
        let stack = plan.stack_of(thread.id).unwrap();
        let sp = thread.stack_pointer().unwrap();
        assert!(stack.start <= sp && sp < stack.start + stack.size);
    }
}

#[test]
fn loader_structures_are_kept_where_they_are_mapped() {
    let mut snapshot = snapshot(1);
    let entry = |address| LinkMap {
        address,
        base: 0,
        name_address: 0x7000_3000,
        name: b"/lib/a.so".to_vec(),
        dynamic: 0,
    };
    let debug = DsoDebug {
        address: 0x7000_2000,
        version: 1,
        map: 0x7000_2100,
        brk: 0,
        ldbase: 0,
        dynamic: 0x40_2000,
        dynamic_contents: vec![0; 64],
        link_maps: vec![entry(0x7000_2100), entry(0xdead_0000)],
    };
    snapshot.linux = Some(LinuxFacts { dso_debug: Some(debug), ..LinuxFacts::default() });
    let plan = MemoryPlan::new(&snapshot, &MemoryPolicy::default(), &mut Vec::new());
    let mut loader: Vec<_> =
        plan.ranges().iter().filter(|r| r.purpose == Purpose::Loader).map(|r| (r.start, r.size)).collect();
    loader.sort_unstable();
    assert_eq!(loader, [(0x40_2000, 64), (0x7000_2000, 40), (0x7000_2100, 40), (0x7000_3000, 10)]);
}

/// Random sorted maps with hostile gaps, threads with random pointers.
fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let regions = prop::collection::vec((0_u64..0x20_0000, 1_u64..0x40_0000, 0_u8..8), 0..40);
    let threads =
        prop::collection::vec((any::<u64>(), 0_u64..0x1_0000_0000, any::<bool>(), any::<u64>()), 0..20);
    let fault = prop::option::of(prop_oneof![any::<u64>(), 0_u64..0x1_0000_0000]);
    (regions, threads, any::<bool>(), fault).prop_map(|(gaps, threads, high, fault)| {
        let mut snapshot = snapshot(0);
        snapshot.regions.clear();
        let mut at = if high { u64::MAX - 0x400_0000 } else { 0 };
        for (gap, size, protection) in gaps {
            let start = at.saturating_add(gap & !0xfff);
            let end = start.saturating_add(size & !0xfff);
            if end > start {
                snapshot.regions.push(region(start, end, Protection::from_bits_truncate(protection)));
            }
            at = end;
        }
        for (index, (wild, near, use_near, ip)) in threads.into_iter().enumerate() {
            let id = 100 + u32::try_from(index).unwrap();
            snapshot.threads.push(thread(id, if use_near { near } else { wild }, ip));
        }
        snapshot.exception =
            fault.map(|address| Exception { thread: 100, code: 11, flags: 1, address, parameters: vec![] });
        snapshot.blamed_thread = snapshot.threads.last().map(|thread| thread.id);
        snapshot
    })
}

/// No range is empty, overlaps another or lies where nothing is mapped.
fn check_ranges(snapshot: &Snapshot, plan: &MemoryPlan) -> Result<(), TestCaseError> {
    let mut sorted = plan.ranges().to_vec();
    sorted.sort_unstable_by_key(|range| range.start);
    for pair in sorted.windows(2) {
        prop_assert!(pair[0].end() <= pair[1].start);
    }
    for range in &sorted {
        prop_assert!(range.size > 0);
        let mut at = range.start;
        while at < range.end() {
            let region = snapshot.region_at(at);
            prop_assert!(region.is_some(), "{at:#x} is not mapped");
            at = region.unwrap().end;
        }
    }
    Ok(())
}

/// Every stack holds the stack pointer, where that can be read, and lies inside one range.
fn check_stacks(snapshot: &Snapshot, plan: &MemoryPlan) -> Result<(), TestCaseError> {
    for thread in &snapshot.threads {
        let sp = thread.stack_pointer().unwrap();
        let readable = snapshot.region_at(sp).is_some_and(|r| r.protection.contains(Protection::READ));
        let stack = plan.stack_of(thread.id);
        if readable {
            let stack = stack.unwrap();
            prop_assert!(stack.start <= sp && sp < stack.start + stack.size);
        }
        if let Some(stack) = stack {
            prop_assert!(
                plan.ranges().iter().any(|r| r.start <= stack.start && stack.start + stack.size <= r.end())
            );
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn ranges_never_overlap_and_lie_in_mapped_memory(snapshot in any_snapshot(), cap in 1_u64..0x10_0000) {
        let policy = MemoryPolicy { stack_cap: cap, blamed_stack_cap: cap * 2, ..MemoryPolicy::default() };
        check_ranges(&snapshot, &MemoryPlan::new(&snapshot, &policy, &mut Vec::new()))?;
    }

    #[test]
    fn a_stack_holds_sp_when_sp_is_readable_and_lies_inside_one_range(snapshot in any_snapshot()) {
        check_stacks(&snapshot, &MemoryPlan::new(&snapshot, &MemoryPolicy::default(), &mut Vec::new()))?;
    }
}
