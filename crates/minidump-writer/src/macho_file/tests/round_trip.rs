use super::*;

#[test]
fn a_core_of_ours_is_read_without_loss() {
    for is_arm64 in [true, false] {
        let snapshot = crashed(is_arm64);
        let source = read_back(&core_of(&snapshot));
        assert_eq!(source.snapshot, snapshot);
        assert_eq!(source.format, Format::MachOCore);
        assert_eq!(memory_at(&source, STACK + 0x80, 0x1000), Some(bytes_at(STACK + 0x80, 0x1000)));
        assert_eq!(memory_at(&source, CODE + 0xfc, 8), Some(bytes_at(CODE + 0xfc, 8)));
        assert_eq!(memory_at(&source, CODE + 0x104, 1), None);
        let chosen = [(CODE + 0xfc, CODE + 0x104), (STACK + 0x80, STACK + 0x1080)];
        assert_eq!(source.chosen.unwrap().ranges(), chosen);
    }
}

#[test]
fn a_core_becomes_a_core_again_with_nothing_lost() {
    let snapshot = crashed(true);
    let (bytes, report) = converted(&core_of(&snapshot), Some(Format::MachOCore)).unwrap();
    assert_eq!((report.threads, report.modules), (4, 2));
    let source = read_back(&bytes);
    assert_eq!(source.snapshot, snapshot);
    assert_eq!(memory_at(&source, STACK + 0x80, 0x1000), Some(bytes_at(STACK + 0x80, 0x1000)));
}

#[test]
fn a_core_becomes_a_minidump_by_default() {
    let (bytes, report) = converted(&core_of(&crashed(false)), None).unwrap();
    assert!(bytes.starts_with(b"MDMP"));
    assert_eq!((report.threads, report.modules), (4, 2));
    let dump = ::minidump::Minidump::read(bytes.as_slice()).unwrap();
    let memory = dump.get_memory().unwrap();
    let stack = memory.memory_at_address(STACK + 0x100).unwrap();
    assert_eq!((stack.base_address(), stack.bytes()), (STACK + 0x80, &*bytes_at(STACK + 0x80, 0x1000)));
}

#[test]
fn a_core_of_the_other_system_is_refused() {
    let error = converted(&core_of(&crashed(true)), Some(Format::ElfCore)).unwrap_err();
    assert!(error.to_string().contains("an Apple system cannot become an ELF core"), "{error}");
    let (linux, _) = {
        let mut snapshot = crashed(false);
        snapshot.system.os = OperatingSystem::Linux;
        snapshot.apple = None;
        let (plan, source) = memory();
        let options = minidump_formats::elf_core::CoreOptions::default();
        let layout = minidump_formats::elf_core::layout(&snapshot, &plan, &options).unwrap();
        let mut bytes = Vec::new();
        let written = layout.write(&source, &mut bytes).unwrap();
        (bytes, written)
    };
    let error = converted(&linux, Some(Format::MachOCore)).unwrap_err();
    assert!(error.to_string().contains("Linux cannot become a Mach-O core"), "{error}");
}

#[test]
fn a_hole_stays_a_hole() {
    let (plan, _) = memory();
    let mut source = BufferSource::new();
    assert!(source.insert(STACK + 0x80, bytes_at(STACK + 0x80, 0x80)));
    let mut bytes = Vec::new();
    let snapshot = crashed(true);
    let core = layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap();
    core.write(&source, &mut bytes).unwrap();
    let source = read_back(&bytes);
    assert_eq!(source.memory.held().ranges(), [(STACK + 0x80, STACK + 0x100)]);
    assert_eq!(source.snapshot.soft_errors, snapshot.soft_errors);
}

#[test]
fn holes_that_are_not_listed_are_told() {
    let (plan, source) = memory();
    let options = MachoCoreOptions { hole_capacity: 0, ..MachoCoreOptions::default() };
    let mut bytes = Vec::new();
    let snapshot = crashed(true);
    layout(&snapshot, &plan, &options).unwrap().write(&BufferSource::new(), &mut bytes).unwrap();
    let errors = read_back(&bytes).snapshot.soft_errors;
    assert!(errors.iter().any(|error| error.message.starts_with("2 more ranges of zeros")), "{errors:?}");
    let mut bytes = Vec::new();
    layout(&snapshot, &plan, &options).unwrap().write(&source, &mut bytes).unwrap();
    assert_eq!(read_back(&bytes).snapshot.soft_errors, snapshot.soft_errors);
}

#[test]
fn the_policy_holds_for_a_core_of_all_memory() {
    let (plan, source) = memory();
    let full = |range: &PlannedRange| PlannedRange { purpose: Purpose::Full, ..*range };
    let plan = MemoryPlan::from_ranges(plan.ranges().iter().map(full).collect(), plan.stacks().to_vec());
    let mut snapshot = crashed(true);
    snapshot.regions[1].dont_dump = false;
    let mut bytes = Vec::new();
    layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap().write(&source, &mut bytes).unwrap();
    let mut options = DumpOptions::default();
    options.memory.blamed_stack_cap = 0x400;
    options.memory.stack_cap = 0x400;
    let mut output = Vec::new();
    convert(Input::Stream(&mut &*bytes), Some(Format::MachOCore), &options, &mut output).unwrap();
    let source = read_back(&output);
    assert_eq!(memory_at(&source, STACK + 0x80, 0x400), Some(bytes_at(STACK + 0x80, 0x400)));
    assert_eq!(memory_at(&source, STACK + 0x1000, 1), None);
}
