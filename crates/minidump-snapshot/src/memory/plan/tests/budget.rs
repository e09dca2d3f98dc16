use super::*;
use crate::LinuxFacts;

/// Every thread in a function of its own, so that code does not overlap, with 32 KiB of stack in use.
fn busy(threads: u32) -> Snapshot {
    let mut snapshot = snapshot(threads);
    snapshot.regions[0] = region(0x40_0000, 0x100_0000, RX);
    for (index, thread) in (0_u64..).zip(&mut snapshot.threads) {
        let Some(CpuState::Amd64(state)) = &mut thread.cpu else { unreachable!() };
        state.rip = 0x40_0000 + 0x1000 * index + 0x800;
        state.rsp = 0x7000_0000 + index * 0x20_0000 + 0x10_1000 - 0x8000;
    }
    snapshot.blamed_thread = Some(100);
    snapshot
}

fn plan_within(snapshot: &Snapshot, budget: u64) -> (MemoryPlan, Vec<SoftError>) {
    let mut errors = Vec::new();
    let plan = MemoryPlan::new(snapshot, &MemoryPolicy { budget, ..MemoryPolicy::default() }, &mut errors);
    (plan, errors)
}

#[test]
fn two_hundred_threads_fit_any_limit_from_64_kib_to_2_mib_with_every_stack_pointer_inside() {
    let snapshot = busy(200);
    for budget in [64, 96, 128, 200, 256, 500, 512, 1000, 1024, 2000, 2048].map(|kib: u64| kib << 10) {
        let (plan, errors) = plan_within(&snapshot, budget);
        assert!(plan.total() <= budget, "{} of {budget}", plan.total());
        assert!(plan.total() >= budget - budget / 8, "{} of {budget}: more would fit", plan.total());
        assert_eq!(errors.len(), 1, "{errors:?}");
        check_stacks(&snapshot, &plan).unwrap();
    }
}

#[test]
fn the_other_stacks_are_cut_before_the_blamed_one_and_that_before_code() {
    let snapshot = busy(200);
    let sizes = |budget: u64| {
        let (plan, errors) = plan_within(&snapshot, budget);
        let code = plan.ranges().iter().find(|r| r.purpose == Purpose::Code && r.start > 0x40_1000);
        let code = code.map_or(0, |range| range.size);
        let [blamed, other] = [100, 101].map(|thread| plan.stack_of(thread).unwrap().size);
        (blamed, other, code, errors.into_iter().next().map(|error| error.message))
    };
    let whole = 0x8000 + 128;
    assert_eq!(sizes(256 << 20), (whole, whole, 512, None));
    let (blamed, other, code, message) = sizes(2 << 20);
    assert_eq!((blamed, code), (whole, 512));
    assert!((4096..whole).contains(&other));
    let expected = format!(
        "the memory exceeds its budget of 2097152 bytes, so that it was cut: each stack to {other} bytes"
    );
    assert_eq!(message, Some(expected));
    let (blamed, other, code, _) = sizes(300 << 10);
    assert_eq!((blamed, code), (whole, 512));
    assert!((256..4096).contains(&other));
    let (blamed, other, code, _) = sizes(170 << 10);
    assert_eq!((other, code), (256, 512));
    assert!((4096..whole).contains(&blamed));
    let (blamed, other, code, _) = sizes(70 << 10);
    assert_eq!((other, code), (256, 64));
    assert!((4096..0x2000).contains(&blamed));
    let (blamed, other, code, _) = sizes(56 << 10);
    assert_eq!((other, code), (256, 0));
    assert!((4096..0x2000).contains(&blamed));
    let (blamed, other, code, message) = sizes(200 * 256);
    assert_eq!((blamed, other, code), (256, 256, 0));
    assert!(!message.unwrap().contains("the least of every stack"));
    let (blamed, other, code, message) = sizes(1);
    assert_eq!((blamed, other, code), (256, 256, 0));
    assert!(message.unwrap().ends_with("; the least of every stack is more than the budget"));
}

#[test]
fn the_applications_memory_is_given_up_before_the_loaders_and_both_before_any_stack() {
    let mut snapshot = snapshot(1);
    let debug = DsoDebug {
        address: 0x7000_2000,
        version: 1,
        map: 0,
        brk: 0,
        ldbase: 0,
        dynamic: 0x40_2000,
        dynamic_contents: vec![0; 64],
        link_maps: vec![],
    };
    snapshot.linux = Some(LinuxFacts { dso_debug: Some(debug), ..LinuxFacts::default() });
    let application = vec![(0x7000_3000, 0x100), (0x7000_4000, 0x100)];
    let wanted =
        |budget| MemoryPolicy { budget, application: application.clone(), ..MemoryPolicy::default() };
    let stack_and_code = 0xf_9000 + 128 + 0x200;
    for (left, loader, app) in
        [(0x268, 104, 0x200), (0x1a8, 104, 0x140), (104, 104, 0), (50, 50, 0), (0, 0, 0)]
    {
        let policy = MemoryPolicy { stack_cap: 1 << 20, ..wanted(stack_and_code + left) };
        let mut errors = Vec::new();
        let plan = MemoryPlan::new(&snapshot, &policy, &mut errors);
        let size_of = |purpose| total_of(&plan, purpose);
        assert_eq!((size_of(Purpose::Loader), size_of(Purpose::Application)), (loader, app), "{left}");
        assert_eq!(size_of(Purpose::Stack), 0xf_9000 + 128);
        assert_eq!(errors.len(), usize::from(loader < 104) + usize::from(app < 0x200), "{errors:?}");
    }
}

fn total_of(plan: &MemoryPlan, purpose: Purpose) -> u64 {
    plan.ranges().iter().filter(|range| range.purpose == purpose).map(|range| range.size).sum()
}

proptest! {
    #[test]
    fn no_plan_exceeds_a_budget_that_holds_the_least_of_every_stack(
        snapshot in any_snapshot(),
        extra in 0_u64..0x8_0000,
        application in prop::collection::vec((any::<u64>(), any::<u64>()), 0..4),
        caps in (0_u64..0x10_0000, 0_u64..0x10_0000, 0_u64..0x1_0000, 0_u64..0x4000),
    ) {
        let (blamed_stack_cap, stack_cap, stack_floor, code_window) = caps;
        let budget = snapshot.threads.len() as u64 * 256 + extra;
        let policy = MemoryPolicy {
            application, blamed_stack_cap, stack_cap, stack_floor, code_window, budget,
            ..MemoryPolicy::default()
        };
        let plan = MemoryPlan::new(&snapshot, &policy, &mut Vec::new());
        prop_assert!(plan.total() <= budget, "{} of {}", plan.total(), budget);
        check_ranges(&snapshot, &plan)?;
        check_stacks(&snapshot, &plan)?;
    }
}
