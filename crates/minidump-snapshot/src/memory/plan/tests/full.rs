use super::*;
use crate::RegionKind;

fn full_plan(snapshot: &Snapshot) -> MemoryPlan {
    let policy = MemoryPolicy { mode: MemoryMode::Full, budget: 1, ..MemoryPolicy::default() };
    let mut errors = Vec::new();
    let plan = MemoryPlan::new(snapshot, &policy, &mut errors);
    assert_eq!(errors, [], "the budget is none of a full plan's concern");
    plan
}

#[test]
fn every_readable_region_is_kept_as_a_whole() {
    let mut snapshot = snapshot(2);
    snapshot.blamed_thread = Some(101);
    snapshot.regions.push(region(0x10_0000_0000, 0x13_4000_0000, RW));
    let plan = full_plan(&snapshot);
    let found: Vec<_> = plan.ranges().iter().map(|r| (r.start, r.end(), r.purpose)).collect();
    let expected = [
        (0x7020_1000, 0x7030_1000, Purpose::BlamedStack),
        (0x40_0000, 0x41_0000, Purpose::Code),
        (0x7000_1000, 0x7010_1000, Purpose::Stack),
        (0x10_0000_0000, 0x13_4000_0000, Purpose::Full),
    ];
    assert_eq!(found, expected);
    assert_eq!(plan.total(), 0x20_0000 + 0x1_0000 + 0x3_4000_0000);
}

#[test]
fn the_whole_stack_is_shown_for_each_thread_whatever_the_caps() {
    let mut snapshot = snapshot(2);
    snapshot.regions[2].dont_dump = true;
    let policy = MemoryPolicy { mode: MemoryMode::Full, stack_cap: 0x1000, ..MemoryPolicy::default() };
    let plan = MemoryPlan::new(&snapshot, &policy, &mut Vec::new());
    let stack = plan.stack_of(101).unwrap();
    assert_eq!((stack.start, stack.size), (0x7020_8000 - 128, 0xf_9000 + 128));
    let capped: u64 =
        plan.ranges().iter().filter(|r| r.start < 0x7010_1000 && r.end() > 0x7000_0000).map(|r| r.size).sum();
    assert_eq!(capped, 0x1000, "a stack that is not to be dumped keeps its cap");
}

#[test]
fn devices_kernel_data_and_what_is_not_to_be_dumped_are_left_out() {
    let mut snapshot = snapshot(0);
    let of_kind = |start, protection, kind| Region { kind, ..region(start, start + 0x1000, protection) };
    snapshot.regions.extend([
        Region { dont_dump: true, ..region(0x50_0000, 0x50_1000, RW) },
        of_kind(0x51_0000, RW, RegionKind::Device),
        of_kind(0x52_0000, Protection::READ, RegionKind::Kernel),
        of_kind(0x53_0000, RX, RegionKind::Kernel),
        of_kind(0x54_0000, Protection::WRITE, RegionKind::Anonymous),
        of_kind(0x55_0000, Protection::READ, RegionKind::File),
        of_kind(0xffff_ffff_ff60_0000, RX, RegionKind::Kernel),
    ]);
    let starts: Vec<u64> = full_plan(&snapshot).ranges().iter().map(|range| range.start).collect();
    assert_eq!(starts, [0x40_0000, 0x53_0000, 0x55_0000]);
}

proptest! {
    #[test]
    fn a_full_plan_holds_all_that_is_readable_and_every_stack_in_one_range(snapshot in any_snapshot()) {
        let plan = full_plan_ignoring_errors(&snapshot);
        check_ranges(&snapshot, &plan)?;
        check_stacks(&snapshot, &plan)?;
        let readable = snapshot.regions.iter().filter(|region| region.protection.contains(Protection::READ));
        for region in readable {
            let held = plan.ranges().iter().any(|range| range.start <= region.start && region.end <= range.end());
            prop_assert!(held, "{:#x} is not in one range", region.start);
        }
    }
}

fn full_plan_ignoring_errors(snapshot: &Snapshot) -> MemoryPlan {
    let policy = MemoryPolicy { mode: MemoryMode::Full, ..MemoryPolicy::default() };
    MemoryPlan::new(snapshot, &policy, &mut Vec::new())
}
