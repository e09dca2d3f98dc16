use super::*;
use crate::BufferSource;

const HEAP: u64 = 0x1000_0000;

fn policy() -> MemoryPolicy {
    let mode = MemoryMode::Indirect;
    MemoryPolicy { mode, indirect_window: 0x100, stack_cap: 1 << 20, ..MemoryPolicy::default() }
}

/// Threads with a heap of 16 MiB.
fn with_heap(threads: u32) -> Snapshot {
    let mut snapshot = snapshot(threads);
    snapshot.regions.insert(1, region(HEAP, HEAP + 0x100_0000, RW));
    snapshot
}

/// Memory of `plan` with the given words, zero elsewhere.
fn memory_with(plan: &MemoryPlan, words: &[(u64, u64)]) -> BufferSource {
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

fn added(
    snapshot: &Snapshot,
    policy: &MemoryPolicy,
    words: &[(u64, u64)],
) -> (Vec<(u64, u64)>, Vec<SoftError>) {
    let plan = MemoryPlan::new(snapshot, policy, &mut Vec::new());
    let mut errors = Vec::new();
    let added = plan.pointed_to(snapshot, policy, &memory_with(&plan, words), &mut errors);
    assert!(added.ranges().iter().all(|range| range.purpose == Purpose::Indirect));
    (added.ranges().iter().map(|range| (range.start, range.end())).collect(), errors)
}

#[test]
fn a_window_is_kept_around_every_pointer_in_registers_and_stacks() {
    let mut snapshot = with_heap(1);
    let Some(CpuState::Amd64(state)) = &mut snapshot.threads[0].cpu else { unreachable!() };
    (state.rdi, state.r15) = (HEAP + 0x1000, HEAP + 0x3003);
    let words = [(0x7000_8000, HEAP + 0x2000), (0x7000_9004, HEAP + 0x8000)];
    let (found, errors) = added(&snapshot, &policy(), &words);
    let expected =
        [(HEAP + 0xfc0, HEAP + 0x10c0), (HEAP + 0x1fc0, HEAP + 0x20c0), (HEAP + 0x2fc3, HEAP + 0x30c3)];
    assert_eq!(found, expected, "an unaligned word is no pointer");
    assert_eq!(errors, []);
}

#[test]
fn windows_are_cut_to_their_region_and_joined() {
    let snapshot = with_heap(1);
    let pointers = [HEAP, HEAP + 0xff_ffff, HEAP + 0x2000, HEAP + 0x2100, HEAP + 0x2080, HEAP + 0x2080];
    let words: Vec<_> = (0..).zip(pointers).map(|(index, word)| (0x7000_8000 + 8 * index, word)).collect();
    let (found, _) = added(&snapshot, &policy(), &words);
    let expected =
        [(HEAP, HEAP + 0xc0), (HEAP + 0x1fc0, HEAP + 0x21c0), (HEAP + 0xff_ffbf, HEAP + 0x100_0000)];
    assert_eq!(found, expected);
}

#[test]
fn what_is_planned_already_is_not_added() {
    let mut snapshot = with_heap(2);
    let policy = MemoryPolicy { application: vec![(HEAP + 0x1000, 0x80)], ..policy() };
    let words = [(0x7000_8000, 0x7000_9000), (0x7000_8008, 0x7020_7f80), (0x7000_8010, HEAP + 0x1040)];
    let (found, _) = added(&snapshot, &policy, &words);
    let stack = 0x7020_8000 - 128;
    assert_eq!(found, [(HEAP + 0x1080, HEAP + 0x1100), (0x7020_7f40, stack)]);
    snapshot.threads.clear();
    assert_eq!(added(&snapshot, &policy, &words).0, []);
}

#[test]
fn only_data_of_the_program_is_taken() {
    let mut snapshot = with_heap(1);
    let of_kind = |start, protection, kind| Region { kind, ..region(start, start + 0x1000, protection) };
    snapshot.regions.extend([
        of_kind(0x7f00_0000_0000, RX, RegionKind::File),
        of_kind(0x7f00_0001_0000, Protection::READ, RegionKind::File),
        of_kind(0x7f00_0002_0000, RW, RegionKind::File),
        of_kind(0x7f00_0003_0000, RX, RegionKind::Anonymous),
        of_kind(0x7f00_0004_0000, RW, RegionKind::Device),
        of_kind(0x7f00_0005_0000, RX, RegionKind::Kernel),
        of_kind(0x7f00_0006_0000, Protection::WRITE, RegionKind::Anonymous),
        Region { dont_dump: true, ..region(0x7f00_0007_0000, 0x7f00_0007_1000, RW) },
    ]);
    let words: Vec<_> =
        (0..9).map(|index| (0x7000_8000 + 8 * index, 0x7f00_0000_0800 + 0x1_0000 * index)).collect();
    let (found, _) = added(&snapshot, &policy(), &words);
    assert_eq!(found, [(0x7f00_0002_07c0, 0x7f00_0002_08c0), (0x7f00_0003_07c0, 0x7f00_0003_08c0)]);
}

/// 64 pointers to places of their own on each of the stacks.
fn many_pointers(threads: u64) -> Vec<(u64, u64)> {
    let of_thread = |thread: u64| {
        (0..64).map(move |index| {
            (0x7000_8000 + 0x20_0000 * thread + 8 * index, HEAP + 0x10_0000 * thread + 0x1000 * (index + 1))
        })
    };
    (0..threads).flat_map(of_thread).collect()
}

#[test]
fn the_blamed_thread_comes_first_and_the_others_share_what_it_leaves() {
    let mut snapshot = with_heap(5);
    snapshot.blamed_thread = Some(100);
    let counts = |windows: u64| {
        let policy = MemoryPolicy { indirect_budget: windows * 0x100, ..policy() };
        let (found, errors) = added(&snapshot, &policy, &many_pointers(5));
        assert_eq!(errors, [], "a budget of its own that is used up is no error");
        let of = |thread: u64| {
            let start = HEAP + 0x10_0000 * thread;
            found.iter().filter(|range| (start..start + 0x10_0000).contains(&range.0)).count()
        };
        [0, 1, 2, 3, 4].map(of)
    };
    assert_eq!(counts(1000), [64, 64, 64, 64, 64]);
    assert_eq!(counts(64 + 40), [64, 10, 10, 10, 10]);
    assert_eq!(counts(64 + 2), [64, 1, 1, 0, 0]);
    assert_eq!(counts(10), [10, 0, 0, 0, 0]);
    assert_eq!(counts(0), [0, 0, 0, 0, 0]);
}

#[test]
fn the_near_end_of_a_stack_comes_before_its_far_end() {
    let snapshot = with_heap(1);
    let policy = MemoryPolicy { indirect_budget: 3 * 0x100, ..policy() };
    let (found, _) = added(&snapshot, &policy, &many_pointers(1));
    let starts: Vec<u64> = found.iter().map(|range| range.0 - HEAP).collect();
    assert_eq!(starts, [0xfc0, 0x1fc0, 0x2fc0]);
}

#[test]
fn the_budget_of_the_whole_plan_limits_it_too_and_that_is_reported() {
    let snapshot = with_heap(1);
    let stacks = MemoryPlan::new(&snapshot, &policy(), &mut Vec::new()).total();
    let policy = MemoryPolicy { budget: stacks + 0x480, ..policy() };
    let (found, errors) = added(&snapshot, &policy, &many_pointers(1));
    assert_eq!(found.len(), 4);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].message.starts_with("memory around pointers was left out"), "{}", errors[0]);
}

#[test]
fn the_list_of_ranges_does_not_outgrow_what_readers_take() {
    let snapshot = with_heap(1);
    let policy = MemoryPolicy { indirect_window: 8, ..policy() };
    let words: Vec<_> = (0..8000).map(|index| (0x7000_8000 + 8 * index, HEAP + 64 * index)).collect();
    let plan = MemoryPlan::new(&snapshot, &policy, &mut Vec::new());
    let added = plan.pointed_to(&snapshot, &policy, &memory_with(&plan, &words), &mut Vec::new());
    assert_eq!(plan.ranges().len() + added.ranges().len(), 4096);
}

#[test]
fn other_modes_add_nothing() {
    let snapshot = with_heap(1);
    for mode in [MemoryMode::Stacks, MemoryMode::Full] {
        assert_eq!(added(&snapshot, &MemoryPolicy { mode, ..policy() }, &many_pointers(1)).0, []);
    }
    let nothing = MemoryPolicy { indirect_window: 0, ..policy() };
    assert_eq!(added(&snapshot, &nothing, &many_pointers(1)).0, []);
}

#[test]
fn both_plans_together_are_one_with_the_pointed_to_memory_last() {
    let snapshot = with_heap(1);
    let plan = MemoryPlan::new(&snapshot, &policy(), &mut Vec::new());
    let memory = memory_with(&plan, &many_pointers(1));
    let added = plan.pointed_to(&snapshot, &policy(), &memory, &mut Vec::new());
    let joined = plan.clone().joined_with(&added);
    assert_eq!(joined.total(), plan.total() + added.total());
    assert_eq!(joined.ranges()[..2], plan.ranges()[..]);
    assert_eq!(joined.ranges()[2..], added.ranges()[..]);
    assert_eq!(joined.stacks(), plan.stacks());
}

proptest! {
    #[test]
    fn what_is_added_is_mapped_not_planned_yet_and_within_both_budgets(
        snapshot in any_snapshot(),
        words in prop::collection::vec(prop_oneof![0_u64..0x1_0000_0000, any::<u64>()], 0..64),
        window in 0_u64..0x4000,
        indirect_budget in 0_u64..0x4_0000,
        budget in 0_u64..0x20_0000,
    ) {
        let policy = MemoryPolicy { indirect_window: window, indirect_budget, budget, ..policy() };
        let plan = MemoryPlan::new(&snapshot, &policy, &mut Vec::new());
        let at: Vec<u64> = plan.stacks().iter().map(|stack| stack.start.next_multiple_of(8)).collect();
        let words: Vec<(u64, u64)> =
            (0_u64..).zip(words).filter_map(|(index, word)| {
                let slot = usize::try_from(index).ok()? % at.len().max(1);
                Some((at.get(slot)?.checked_add(8 * index)?, word))
            }).collect();
        let added = plan.pointed_to(&snapshot, &policy, &memory_with(&plan, &words), &mut Vec::new());
        prop_assert!(added.total() <= indirect_budget);
        prop_assert!(added.total() == 0 || plan.total() + added.total() <= budget);
        let joined = plan.clone().joined_with(&added);
        prop_assert_eq!(joined.total(), plan.total() + added.total());
        check_ranges(&snapshot, &joined)?;
    }
}
