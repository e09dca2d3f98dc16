//! Header, order of the parts, alignment.

use crate::build::{
    ARM64, X86_64, arm64_registers, empty, empty_amd64, encode, encode_from, encode_with, full_source, image,
    module, plan, system, thread,
};
use minidump_formats::macho_core::{MachoCoreOptions, layout};
use minidump_snapshot::{Cpu, Purpose};

#[test]
fn the_header_tells_the_processor_of_the_main_executable() {
    let mut snapshot = empty();
    // A program for x86-64 on AArch64.
    let facts = snapshot.apple.as_mut().unwrap();
    (facts.cpu_type, facts.cpu_subtype) = (X86_64, 8);
    let core = encode(&snapshot);
    assert_eq!((core.cpu_type, core.cpu_subtype), (X86_64, 8));
    let mut snapshot = empty();
    snapshot.apple.as_mut().unwrap().cpu_subtype = 0x8000_0002;
    assert_eq!(encode(&snapshot).cpu_subtype, 0x8000_0002);
}

#[test]
fn the_header_tells_the_machine_where_the_executable_is_not_known() {
    let mut snapshot = empty();
    snapshot.apple.as_mut().unwrap().cpu_type = 0;
    assert_eq!((encode(&snapshot).cpu_type, encode(&snapshot).cpu_subtype), (ARM64, 0));
    snapshot.apple = None;
    assert_eq!(encode(&snapshot).cpu_type, ARM64);
    let mut snapshot = empty_amd64();
    snapshot.apple = None;
    assert_eq!((encode(&snapshot).cpu_type, encode(&snapshot).cpu_subtype), (X86_64, 3));
    snapshot.system = system(Cpu::Arm64);
    assert_eq!(encode(&snapshot).cpu_type, ARM64);
}

#[test]
fn notes_come_in_the_order_of_the_format_and_begin_at_multiples_of_16() {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(1, arm64_registers(1))];
    snapshot.modules = vec![module(0x1_0000_0000, b"/bin/x", 7)];
    snapshot.modules[0].is_main = true;
    let facts = snapshot.apple.as_mut().unwrap();
    facts.address_bits = Some(47);
    facts.images = vec![image(0x1_0000_0000, 0, vec![])];
    let core = encode(&snapshot);
    let owners: Vec<&str> = core.notes.iter().map(|note| note.owner.as_str()).collect();
    let expected =
        ["addrable bits", "process metadata", "all image infos", "main bin spec", "minidump-writer"];
    assert_eq!(owners, expected);
    // The parser has checked that they are aligned; here, that they follow each other closely.
    let mut position = core.commands_end;
    for note in &core.notes {
        assert_eq!(note.offset, position.next_multiple_of(16), "{}", note.owner);
        position = note.offset + note.contents.len();
    }
}

#[test]
fn what_nothing_is_known_for_has_no_note() {
    let core = encode(&empty());
    let owners: Vec<&str> = core.notes.iter().map(|note| note.owner.as_str()).collect();
    assert_eq!(owners, ["process metadata", "minidump-writer"]);
    assert_eq!((core.threads.len(), core.segments.len()), (0, 0));
}

#[test]
fn memory_lies_in_the_order_of_the_plan_from_a_multiple_of_4096_on() {
    let snapshot = empty();
    let plan = plan(&[(0x1000, 0x10, Purpose::Stack), (0x5000, 0x20, Purpose::BlamedStack)]);
    let layout = layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap();
    let memory = layout.memory_offset();
    assert_eq!(memory % 4096, 0);
    let core = encode_from(&snapshot, &plan);
    let places: Vec<(u64, u64)> =
        core.segments.iter().map(|segment| (segment.address, segment.offset)).collect();
    assert_eq!(places, [(0x1000, memory + 0x20), (0x5000, memory)]);
}

#[test]
fn a_complete_source_needs_no_table_of_holes() {
    let snapshot = empty();
    let plan = plan(&[(0x1000, 13, Purpose::Stack)]);
    let options = MachoCoreOptions { source_is_complete: true, ..MachoCoreOptions::default() };
    let (core, _) = encode_with(&snapshot, &plan, &full_source(&plan), &options);
    assert_eq!(core.hole_table(), None);
    assert_eq!(core.bytes.len() % 4096, 13);
}
