use super::*;
use crate::BufferSource;

const LIBRARY: (u64, u64) = (0x60_0000, 0x1_0000);

/// The stacks of `snapshot` as `plan` has them, zero but for the given words.
fn stacks_with(plan: &MemoryPlan, words: &[(u64, u64)]) -> BufferSource {
    let mut source = BufferSource::new();
    for range in plan.ranges() {
        let mut bytes = vec![0; usize::try_from(range.size).unwrap()];
        for (address, word) in words {
            if let Some(offset) = address.checked_sub(range.start).filter(|offset| *offset + 8 <= range.size)
            {
                let offset = usize::try_from(offset).unwrap();
                bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        assert!(source.insert(range.start, bytes));
    }
    source
}

fn plan_of(snapshot: &Snapshot) -> MemoryPlan {
    MemoryPlan::new(snapshot, &policy(), &mut Vec::new())
}

/// One that does not cut stacks.
fn policy() -> MemoryPolicy {
    MemoryPolicy { stack_cap: 1 << 20, ..MemoryPolicy::default() }
}

#[test]
fn stacks_that_do_not_refer_to_the_range_are_dropped_but_never_that_of_the_blamed_thread() {
    let mut snapshot = snapshot(6);
    snapshot.blamed_thread = Some(100);
    let Some(CpuState::Amd64(state)) = &mut snapshot.threads[1].cpu else { unreachable!() };
    state.rip = 0x60_0010;
    let plan = plan_of(&snapshot);
    let words = [
        (0x7040_9000, 0x60_0000), // the first address of the range
        (0x7060_9000, 0x61_0000), // the address behind it
        (0x7080_9000, 0x60_ffff), // its last one
        (0x70a0_9004, 0x60_0000), // not aligned
    ];
    let (kept, dropped) = plan.only_stacks_that_refer_to(LIBRARY, &snapshot, &stacks_with(&plan, &words));
    assert_eq!(dropped, [103, 105]);
    let with_stack: Vec<u32> = kept.stacks().iter().map(|stack| stack.thread).collect();
    assert_eq!(with_stack, [100, 101, 102, 104]);
    let gone = |range: &&PlannedRange| !kept.ranges().contains(range);
    let lost: Vec<u64> = plan.ranges().iter().filter(gone).map(|range| range.start & !0x1f_ffff).collect();
    assert_eq!(lost, [0x7060_0000, 0x70a0_0000]);
    check_stacks_of_kept(&kept);
}

fn check_stacks_of_kept(plan: &MemoryPlan) {
    for stack in plan.stacks() {
        let end = stack.start + stack.size;
        assert!(plan.ranges().iter().any(|range| range.start <= stack.start && end <= range.end()));
    }
}

#[test]
fn what_else_is_planned_in_a_dropped_stack_stays() {
    let snapshot = snapshot(1);
    let policy = MemoryPolicy { application: vec![(0x7000_9000, 0x100)], ..policy() };
    let plan = MemoryPlan::new(&snapshot, &policy, &mut Vec::new());
    assert_eq!(plan.ranges().len(), 2, "code, and the stack with the application's range in it");
    let (kept, dropped) = plan.only_stacks_that_refer_to(LIBRARY, &snapshot, &BufferSource::new());
    assert_eq!(dropped, [100]);
    let left: Vec<_> = kept.ranges().iter().map(|range| (range.start, range.size, range.purpose)).collect();
    let expected = [(0x40_0000, 0x200, Purpose::Code), (0x7000_9000, 0x100, Purpose::Application)];
    assert_eq!(left, expected);
}

#[test]
fn the_far_end_of_an_overflowing_stack_counts_and_goes_with_it() {
    let mut snapshot = snapshot(2);
    for (index, thread) in (0_u64..).zip(&mut snapshot.threads) {
        let Some(CpuState::Amd64(state)) = &mut thread.cpu else { unreachable!() };
        state.rsp = 0x7000_1100 + 0x20_0000 * index;
    }
    let plan = MemoryPlan::new(&snapshot, &MemoryPolicy::default(), &mut Vec::new());
    assert_eq!(plan.ranges().len(), 5);
    let words = [(0x7010_0ff8, 0x60_1234)];
    let (kept, dropped) = plan.only_stacks_that_refer_to(LIBRARY, &snapshot, &stacks_with(&plan, &words));
    assert_eq!(dropped, [101]);
    assert_eq!(kept.ranges().len(), 3);
    assert!(kept.ranges().iter().all(|range| range.start < 0x7020_0000));
}

#[test]
fn hostile_ranges_drop_or_keep_but_do_no_harm() {
    let snapshot = snapshot(2);
    let plan = plan_of(&snapshot);
    let source = stacks_with(&plan, &[(0x7000_9000, u64::MAX)]);
    for (range, expected) in [
        ((0, 0), vec![100, 101]),
        ((u64::MAX, u64::MAX), vec![101]),
        ((0, u64::MAX), vec![]),
        ((u64::MAX, 0), vec![100, 101]),
    ] {
        let (kept, dropped) = plan.only_stacks_that_refer_to(range, &snapshot, &source);
        assert_eq!(dropped, expected, "{range:x?}");
        assert_eq!(kept.stacks().len(), 2 - expected.len());
    }
}

#[test]
fn a_plan_made_of_ranges_knows_whose_stack_is_whose() {
    let snapshot = snapshot(3);
    let range = |start, size, purpose| PlannedRange { start, size, purpose };
    let ranges = vec![
        range(0x7000_8000, 0x100, Purpose::Stack),
        range(0x7020_8000, 0x100, Purpose::Full),
        range(0x7040_8000, 0x100, Purpose::Stack),
    ];
    let stack = |thread, start| ThreadStack { thread, start, size: 0x80 };
    let stacks = vec![stack(100, 0x7000_8000), stack(101, 0x7020_8010), stack(102, 0x7040_8080)];
    let plan = MemoryPlan::from_ranges(ranges, stacks);
    let (kept, dropped) = plan.only_stacks_that_refer_to(LIBRARY, &snapshot, &BufferSource::new());
    assert_eq!(dropped, [100, 102], "a range that is not a stack alone is never dropped");
    assert_eq!(kept.ranges(), [range(0x7020_8000, 0x100, Purpose::Full)]);
}

proptest! {
    #[test]
    fn nothing_is_kept_that_was_not_planned(snapshot in any_snapshot(), range in any::<(u64, u64)>()) {
        let plan = plan_of(&snapshot);
        let (kept, _) = plan.only_stacks_that_refer_to(range, &snapshot, &BufferSource::new());
        for range in kept.ranges() {
            let planned = |whole: &PlannedRange| whole.start <= range.start && range.end() <= whole.end();
            prop_assert!(plan.ranges().iter().any(planned));
        }
        check_ranges(&snapshot, &kept)?;
    }
}
