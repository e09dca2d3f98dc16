use super::*;
use crate::{Exception, RegionKind};

fn ranges_of(plan: &MemoryPlan, purpose: Purpose) -> Vec<(u64, u64)> {
    let mut ranges: Vec<_> =
        plan.ranges().iter().filter(|r| r.purpose == purpose).map(|r| (r.start, r.end())).collect();
    ranges.sort_unstable();
    ranges
}

/// Address and size of each soft error.
type Places = Vec<(Option<u64>, Option<u64>)>;

fn plan_with(snapshot: &Snapshot, application: Vec<(u64, u64)>) -> (MemoryPlan, Places) {
    let policy = MemoryPolicy { application, ..MemoryPolicy::default() };
    let mut errors = Vec::new();
    let plan = MemoryPlan::new(snapshot, &policy, &mut errors);
    (plan, errors.iter().map(|error| (error.address, error.size)).collect())
}

/// Data with a hole, an unreadable page, a device and memory not to be dumped.
fn data() -> Snapshot {
    let mut snapshot = snapshot(0);
    let device = Region { kind: RegionKind::Device, ..region(0x50_6000, 0x50_7000, RW) };
    let secret = Region { dont_dump: true, ..region(0x50_7000, 0x50_8000, RW) };
    snapshot.regions.extend([
        region(0x50_0000, 0x50_2000, RW),
        region(0x50_2000, 0x50_3000, Protection::READ),
        region(0x50_4000, 0x50_5000, RW),
        region(0x50_5000, 0x50_6000, Protection::empty()),
        device,
        secret,
        region(0x50_8000, 0x50_9000, RW),
    ]);
    snapshot
}

#[test]
fn a_range_in_mapped_memory_is_kept_as_it_is() {
    let (plan, errors) = plan_with(&data(), vec![(0x50_0010, 0x30), (0x50_1ff0, 0x20), (0x50_0000, 0)]);
    assert_eq!(ranges_of(&plan, Purpose::Application), [(0x50_0010, 0x50_0040), (0x50_1ff0, 0x50_2010)]);
    assert_eq!(errors, []);
}

#[test]
fn what_cannot_be_read_is_left_out_of_a_range_and_reported_once() {
    let (plan, errors) = plan_with(&data(), vec![(0x50_0800, 0x8000), (0x60_0000, 0x10)]);
    let expected = [(0x50_0800, 0x50_3000), (0x50_4000, 0x50_5000), (0x50_8000, 0x50_8800)];
    assert_eq!(ranges_of(&plan, Purpose::Application), expected);
    assert_eq!(errors, [(Some(0x50_0800), Some(0x8000)), (Some(0x60_0000), Some(0x10))]);
}

#[test]
fn ranges_over_the_end_of_the_address_space_keep_what_is_mapped() {
    let mut snapshot = data();
    snapshot.regions.push(region(u64::MAX - 0xfff, u64::MAX, RW));
    let hostile = vec![(u64::MAX - 0x10, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX), (0, u64::MAX)];
    let (plan, errors) = plan_with(&snapshot, hostile.clone());
    let kept = ranges_of(&plan, Purpose::Application);
    assert_eq!(kept.last(), Some(&(u64::MAX - 0xfff, u64::MAX)));
    assert!(kept.contains(&(0x50_8000, 0x50_9000)));
    let expected: Vec<_> = hostile.iter().map(|(start, size)| (Some(*start), Some(*size))).collect();
    assert_eq!(errors, expected);
}

#[test]
fn the_memory_that_a_crash_was_about_is_kept_when_it_can_be_read() {
    let crash_at = |address| {
        let mut snapshot = data();
        snapshot.exception = Some(Exception { thread: 1, code: 11, flags: 2, address, parameters: vec![] });
        ranges_of(&plan_with(&snapshot, vec![]).0, Purpose::Crash)
    };
    assert_eq!(crash_at(0x50_2800), [(0x50_2600, 0x50_2a00)]);
    assert_eq!(crash_at(0x50_0000), [(0x50_0000, 0x50_0200)]);
    for unreadable in [0, 0x50_3000, 0x50_5800, 0x50_6800, 0x50_7800, u64::MAX] {
        assert_eq!(crash_at(unreadable), [], "{unreadable:#x}");
    }
}

#[test]
fn memory_not_to_be_dumped_is_taken_for_stacks_only() {
    let mut snapshot = snapshot(1);
    snapshot.regions[0].dont_dump = true;
    snapshot.regions[2].dont_dump = true;
    let (plan, errors) = plan_with(&snapshot, vec![(0x7000_2000, 0x1000)]);
    assert!(!plan.ranges().is_empty());
    assert!(plan.ranges().iter().all(|range| range.purpose == Purpose::Stack));
    assert_eq!(errors.len(), 1);
}
