use crate::build::{bytes_at, empty, encode, encode_from, full_source, plan, registers, thread};
use minidump::{
    MinidumpException, MinidumpMemoryList, MinidumpModuleList, MinidumpThreadList, MinidumpThreadNames,
};
use minidump_formats::minidump::{FormatError, LayoutOptions, layout};
use minidump_snapshot::{MemoryPlan, PlannedRange, Purpose};

#[test]
fn a_snapshot_of_nothing_is_a_readable_file() {
    let raw = encode(&empty());
    assert_eq!(raw.read::<MinidumpThreadList<'_>>().threads.len(), 0);
    assert_eq!(raw.read::<MinidumpModuleList>().iter().count(), 0);
    assert_eq!(raw.read::<MinidumpMemoryList<'_>>().iter().count(), 0);
    let exception = raw.read::<MinidumpException<'_>>();
    assert_eq!((exception.thread_id, exception.raw.exception_record.exception_code), (0, 0xffff_ffff));
    assert_eq!(exception.raw.exception_record.exception_address, 0);
}

#[test]
fn two_thousand_threads_all_come_back_with_names_registers_and_stacks() {
    let mut snapshot = empty();
    let (mut ranges, mut stacks) = (vec![], vec![]);
    for id in 1..=2000_u32 {
        let mut thread = thread(id, registers(u64::from(id)));
        thread.name = Some(format!("worker {id}").into_bytes());
        snapshot.threads.push(thread);
        let start = 0x7000_0000_0000 + u64::from(id) * 0x1_0000;
        ranges.push((start, 0x40, Purpose::Stack));
        stacks.push((id, start, 0x40));
    }
    let plan = plan(&ranges, &stacks);
    let raw = encode_from(&snapshot, &plan, &full_source(&plan));
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let names = raw.read::<MinidumpThreadNames>();
    let system = raw.read::<minidump::MinidumpSystemInfo>();
    let memory = minidump::UnifiedMemoryList::Memory(raw.read::<MinidumpMemoryList<'_>>());
    assert_eq!(threads.threads.len(), 2000);
    for (thread, id) in threads.threads.iter().zip(1_u32..) {
        assert_eq!(thread.raw.thread_id, id);
        let context = thread.context(&system, None).unwrap();
        assert_eq!(context.get_instruction_pointer(), registers(u64::from(id)).rip);
        assert_eq!(names.get_name(id).unwrap(), format!("worker {id}"));
        let start = 0x7000_0000_0000 + u64::from(id) * 0x1_0000;
        assert_eq!(thread.stack_memory(&memory).unwrap().bytes(), bytes_at(start, 0x40));
    }
}

#[test]
fn threads_keep_the_order_of_the_snapshot_with_the_blamed_one_first() {
    let mut snapshot = empty();
    snapshot.threads = [9, 3, 7].map(|id| thread(id, registers(u64::from(id)))).to_vec();
    snapshot.blamed_thread = Some(9);
    let raw = encode(&snapshot);
    let ids: Vec<u32> =
        raw.read::<MinidumpThreadList<'_>>().threads.iter().map(|thread| thread.raw.thread_id).collect();
    assert_eq!(ids, [9, 3, 7]);
    let (list, _) = raw.stream(3);
    let contexts: Vec<usize> = (0..3).map(|index| raw.location(list + 4 + 48 * index + 40).0).collect();
    assert!(contexts.is_sorted(), "registers of the blamed thread come first");
}

#[test]
fn a_plan_over_the_end_of_the_address_space_is_refused() {
    let range = PlannedRange { start: u64::MAX - 4, size: 100, purpose: Purpose::Stack };
    let plan = MemoryPlan::from_ranges(vec![range], vec![]);
    let error = layout(&empty(), &plan, &LayoutOptions::default()).unwrap_err();
    assert!(matches!(error, FormatError::BadRange { size: 100, .. }));
}

#[test]
fn an_absurd_page_size_does_no_harm() {
    for page_size in [0, 1, 4097, u32::MAX] {
        let mut snapshot = empty();
        snapshot.system.page_size = page_size;
        let plan = plan(&[(0x1234, 0x2000, Purpose::Stack)], &[]);
        let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
        let (_, written) = crate::build::write(&layout, &minidump_snapshot::BufferSource::new());
        assert_eq!(written.hole_bytes, 0x2000);
    }
}

#[test]
fn absurd_times_are_clamped() {
    let mut snapshot = empty();
    snapshot.captured_at_us = u64::MAX;
    snapshot.process.start_time_us = Some(u64::MAX);
    let mut first = thread(1, registers(1));
    first.times =
        Some(minidump_snapshot::ThreadTimes { start_us: u64::MAX, user_us: u64::MAX, kernel_us: 1 });
    snapshot.threads.push(first);
    let raw = encode(&snapshot);
    assert_eq!(raw.u32(20), u32::MAX);
    let (info, _) = raw.stream(17);
    assert_eq!((raw.u64(info + 12 + 16), raw.u64(info + 12 + 32)), (u64::MAX, 10));
}
