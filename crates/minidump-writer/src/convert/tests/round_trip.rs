use super::*;
use crate::convert::read;
use crate::snapshot::MemorySource as _;
use ::minidump::{
    Minidump, MinidumpCrashpadInfo, MinidumpException, MinidumpModuleList, MinidumpThreadList,
    MinidumpThreadNames, Module as _,
};

/// A dump, read by the reader under test.
fn read_back(bytes: &[u8]) -> crate::convert::Source {
    read(Input::Stream(&mut &*bytes), &DumpOptions::default()).unwrap()
}

fn memory_at(source: &crate::convert::Source, address: u64, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    (source.memory.read(address, &mut bytes).done == size).then_some(bytes)
}

#[test]
fn a_core_of_ours_is_read_without_loss() {
    let snapshot = crashed();
    let source = read_back(&core_of(&snapshot));
    let found = &source.snapshot;
    assert_eq!(found.threads, snapshot.threads);
    assert_eq!(found.regions, snapshot.regions);
    assert_eq!(found.modules, snapshot.modules);
    assert_eq!((&found.exception, found.blamed_thread), (&snapshot.exception, Some(CRASHED)));
    assert_eq!((&found.system, found.captured_at_us), (&snapshot.system, snapshot.captured_at_us));
    assert_eq!(found.annotations, snapshot.annotations);
    assert_eq!((found.process.pid, found.process.parent_pid, found.process.uid), (PID, Some(1), Some(1000)));
    let (facts, expected) = (found.linux.as_ref().unwrap(), snapshot.linux.as_ref().unwrap());
    assert_eq!((&facts.auxv, &facts.maps), (&expected.auxv, &expected.maps));
    assert_eq!(facts.cmdline, expected.cmdline);
    assert!(found.soft_errors.contains(&snapshot.soft_errors[0]));
    for index in 0..3 {
        let start = stack_of(index) + 0x80;
        assert_eq!(memory_at(&source, start, 0xf80), Some(bytes_at(start, 0xf80)));
        assert_eq!(memory_at(&source, start - 1, 1), None);
    }
}

#[test]
fn a_minidump_of_ours_is_read_without_loss() {
    let snapshot = crashed();
    let source = read_back(&minidump_of(&snapshot));
    let found = &source.snapshot;
    assert_eq!(found.threads, snapshot.threads);
    assert_eq!(found.regions, snapshot.regions);
    assert_eq!(found.modules, snapshot.modules);
    assert_eq!((&found.exception, found.blamed_thread), (&snapshot.exception, Some(CRASHED)));
    assert_eq!((&found.system, found.captured_at_us), (&snapshot.system, snapshot.captured_at_us));
    assert_eq!(found.annotations, snapshot.annotations);
    assert_eq!(found.soft_errors, snapshot.soft_errors);
    let mut expected: Vec<(u64, u64)> =
        stacks(&snapshot).0.ranges().iter().map(|range| (range.start, range.end())).collect();
    expected.sort_unstable();
    assert_eq!(source.chosen.as_ref().unwrap().ranges(), expected);
    for index in 0..3 {
        let start = stack_of(index) + 0x80;
        assert_eq!(memory_at(&source, start, 0xf80), Some(bytes_at(start, 0xf80)));
    }
}

#[test]
fn a_core_becomes_a_minidump_that_its_readers_read() {
    let (bytes, report) = converted(&core_of(&crashed()), None).unwrap();
    assert_eq!((report.threads, report.modules, report.stopped.is_zero()), (3, 1, true));
    let dump = Minidump::read(bytes.as_slice()).unwrap();
    let threads: MinidumpThreadList = dump.get_stream().unwrap();
    let ids: Vec<u32> = threads.threads.iter().map(|thread| thread.raw.thread_id).collect();
    assert_eq!(ids, [102, 100, 101]);
    let memory = dump.get_memory().unwrap();
    for thread in &threads.threads {
        let index = u64::from(thread.raw.thread_id - PID);
        let context = thread.context(&dump.get_stream().unwrap(), None).unwrap();
        let state = registers(index);
        assert_eq!(context.get_instruction_pointer(), state.rip);
        assert_eq!(context.get_stack_pointer(), state.rsp);
        let stack = thread.stack_memory(&memory).unwrap();
        // 128 bytes below the stack pointer may be in use.
        assert_eq!(stack.base_address(), state.rsp - 128);
        assert_eq!(stack.bytes(), bytes_at(state.rsp - 128, 0x1000 - 0x80));
    }
    let names: MinidumpThreadNames = dump.get_stream().unwrap();
    assert_eq!(names.get_name(101).unwrap(), "worker-1");
    let exception: MinidumpException = dump.get_stream().unwrap();
    assert_eq!((exception.thread_id, exception.raw.exception_record.exception_code), (CRASHED, 11));
    let modules: MinidumpModuleList = dump.get_stream().unwrap();
    let main = modules.main_module().unwrap();
    assert_eq!((main.base_address(), main.code_file().as_ref()), (0x40_0000, "/opt/program"));
    let crashpad: MinidumpCrashpadInfo = dump.get_stream().unwrap();
    assert_eq!(crashpad.simple_annotations["version"], "1.2");
}

#[test]
fn a_minidump_becomes_a_core_with_the_same_registers_and_memory() {
    let snapshot = crashed();
    let (bytes, _) = converted(&minidump_of(&snapshot), None).unwrap();
    assert!(bytes.starts_with(b"\x7fELF"));
    let source = read_back(&bytes);
    assert_eq!(source.snapshot.threads, snapshot.threads);
    assert_eq!(source.snapshot.exception, snapshot.exception);
    let start = stack_of(1) + 0x80;
    assert_eq!(memory_at(&source, start, 0xf80), Some(bytes_at(start, 0xf80)));
}

#[test]
fn a_format_can_be_asked_for() {
    let (bytes, _) = converted(&core_of(&crashed()), Some(Format::ElfCore)).unwrap();
    assert!(bytes.starts_with(b"\x7fELF"));
    let (bytes, _) = converted(&minidump_of(&crashed()), Some(Format::Minidump)).unwrap();
    assert!(bytes.starts_with(b"MDMP"));
}

#[test]
fn a_hole_stays_a_hole() {
    let mut snapshot = crashed();
    snapshot.threads.truncate(1);
    let (plan, _) = stacks(&snapshot);
    let start = plan.ranges()[0].start;
    let mut source = BufferSource::new();
    assert!(source.insert(start, bytes_at(start, 0x80)));
    let mut core = Vec::new();
    elf_core::layout(&snapshot, &plan, &CoreOptions::default()).unwrap().write(&source, &mut core).unwrap();
    let mut dump = Vec::new();
    minidump::layout(&snapshot, &plan, &LayoutOptions::default()).unwrap().write(&source, &mut dump).unwrap();
    for bytes in [core, dump] {
        let source = read_back(&bytes);
        assert_eq!(memory_at(&source, start, 0x80), Some(bytes_at(start, 0x80)));
        assert_eq!(memory_at(&source, start + 0x80, 1), None);
        assert_eq!(source.memory.held().ranges(), [(start, start + 0x80)]);
    }
}

#[test]
fn a_pipe_gives_what_a_file_gives() {
    let core = core_of(&crashed());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core");
    std::fs::write(&path, &core).unwrap();
    let mut from_file = Vec::new();
    convert(Input::File(&path), None, &DumpOptions::default(), &mut from_file).unwrap();
    assert_eq!(from_file, converted(&core, None).unwrap().0);
}

#[test]
fn the_policy_holds_for_a_core_of_all_memory_and_a_chosen_part_is_kept_whole() {
    let mut options = DumpOptions::default();
    options.memory.stack_cap = 0x400;
    options.memory.blamed_stack_cap = 0x400;
    let snapshot = crashed();
    let (plan, source) = stacks(&snapshot);
    for (purpose, size) in [(Purpose::Full, 0x400), (Purpose::Stack, 0xf80)] {
        let ranges = plan.ranges().iter().map(|range| PlannedRange { purpose, ..*range }).collect();
        let plan = MemoryPlan::from_ranges(ranges, plan.stacks().to_vec());
        let mut core = Vec::new();
        elf_core::layout(&snapshot, &plan, &CoreOptions::default())
            .unwrap()
            .write(&source, &mut core)
            .unwrap();
        let mut output = Vec::new();
        convert(Input::Stream(&mut &*core), None, &options, &mut output).unwrap();
        let dump = Minidump::read(output.as_slice()).unwrap();
        let kept: u64 = dump.get_memory().unwrap().iter().map(|range| range.size()).sum();
        assert_eq!(kept, 3 * size);
    }
}

#[test]
fn a_core_of_very_many_mappings_is_read_whole() {
    let mut snapshot = crashed();
    snapshot.linux = None;
    let last = snapshot.regions.last().unwrap().clone();
    let more = (0..70_000_u64).map(|index| {
        let start = 0x10_0000_0000 + index * 0x2000;
        crate::snapshot::Region { start, end: start + 0x1000, ..last.clone() }
    });
    snapshot.regions.extend(more);
    let source = read_back(&core_of(&snapshot));
    let bounds = |regions: &[crate::snapshot::Region]| -> Vec<(u64, u64)> {
        regions.iter().map(|region| (region.start, region.end)).collect()
    };
    assert_eq!(bounds(&source.snapshot.regions), bounds(&snapshot.regions));
    assert_eq!(source.snapshot.threads, snapshot.threads);
}
