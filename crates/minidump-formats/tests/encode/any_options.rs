//! Whatever the options: the file can be read, has exactly the streams it should have, and nothing overlaps.

use crate::any_snapshot::{ALWAYS, any_plan, any_snapshot};
use crate::apple::{any_mac_snapshot, any_pair};
use crate::build::{full_source, write};
use crate::raw::Raw;
use crate::windows::any_windows_snapshot;
use minidump::{Minidump, MinidumpThreadList};
use minidump_formats::minidump::{
    APPLE_FACTS_STREAM, FormatError, HOLE_TABLE_STREAM, LayoutOptions, MDRawDirectory, MemoryWriter,
    NATIVE_CONTEXTS_STREAM, SectionWriter, XSAVE_LIST_STREAM, layout,
};
use minidump_snapshot::{
    BufferSource, CpuState, MemoryPlan, OperatingSystem, Snapshot, Thread, WindowsFacts,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeSet;

const MEMORY: [u32; 2] = [5, 9];
const WITH_FULL_MEMORY: u64 = 2;

/// Types that depend on what the snapshot holds.
const SOMETIMES: [u32; 19] = [
    12,
    14,
    16,
    0x4350_0001,
    0x4767_0003,
    0x4767_0004,
    0x4767_0005,
    0x4767_0006,
    0x4767_0007,
    0x4767_0008,
    0x4767_0009,
    0x4767_000a,
    0x4d7a_0003,
    XSAVE_LIST_STREAM,
    0x4767_0001,
    0x4d7a_0001,
    0x4d7a_0002,
    APPLE_FACTS_STREAM,
    NATIVE_CONTEXTS_STREAM,
];

/// A stream of an application: so many bytes, or a failure.
#[derive(Debug, Clone)]
struct Extra {
    stream_type: u32,
    size: Option<usize>,
}

impl SectionWriter for Extra {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let location = buffer.write_bytes(&vec![0xab; self.size.unwrap_or(5)])?;
        self.size.ok_or(FormatError::Count { count: 0 })?;
        Ok(MDRawDirectory { stream_type: self.stream_type, location })
    }

    fn section_type(&self) -> u32 {
        self.stream_type
    }
}

fn any_extras() -> impl Strategy<Value = Vec<Extra>> {
    vec(prop::option::of(prop::option::of(0_usize..100)), 3).prop_map(|sizes| {
        let extra =
            |(stream_type, size): (u32, Option<Option<usize>>)| Some(Extra { stream_type, size: size? });
        (0x4242_0001..).zip(sizes).filter_map(extra).collect()
    })
}

fn any_omit() -> impl Strategy<Value = Vec<u32>> {
    let known = [ALWAYS.as_slice(), &SOMETIMES, &[9, 0, 0xffff_ffff]].concat();
    let size = known.len();
    prop_oneof![Just(vec![]), subsequence(known.clone(), 0..4), subsequence(known, 0..=size)]
}

/// The types that the file must have.
fn expected_types(
    snapshot: &Snapshot,
    omit: &[u32],
    extras: &[Extra],
    source_is_complete: bool,
) -> BTreeSet<u32> {
    let facts = snapshot.linux.clone().unwrap_or_default();
    let apple = snapshot.apple.as_ref();
    let blamed = snapshot.exception.is_some() || snapshot.blamed_thread.is_some();
    let has_mask = apple.is_some_and(|facts| matches!(facts.address_bits, Some(1..=63)));
    let of_apple = apple.is_some() || snapshot.threads.iter().any(|thread| thread.apple.is_some());
    let windows = snapshot.windows.as_ref();
    let is_windows = snapshot.system.os == OperatingSystem::Windows;
    let sometimes = [
        (12, !snapshot.handles.is_empty() || windows.is_some_and(|facts| !facts.handles.is_empty())),
        (14, windows.is_some_and(|facts| !facts.unloaded_modules.is_empty())),
        (16, !snapshot.regions.is_empty() || windows.is_some_and(|facts| !facts.regions.is_empty())),
        (0x4350_0001, !snapshot.annotations.is_empty() || has_mask),
        (0x4767_0003, facts.cpu_info.is_some()),
        (0x4767_0004, facts.status.is_some()),
        (0x4767_0005, facts.lsb_release.is_some()),
        (0x4767_0006, facts.cmdline.is_some()),
        (0x4767_0007, facts.environ.is_some()),
        (0x4767_0008, facts.auxv.is_some()),
        (0x4767_0009, facts.maps.is_some()),
        (0x4767_000a, facts.dso_debug.is_some()),
        (0x4d7a_0003, facts.limits.is_some()),
        (0x4767_0001, (apple.is_some() || windows.is_some()) && blamed),
        (0x4d7a_0001, apple.is_some_and(|facts| !facts.crash_info.is_empty())),
        (0x4d7a_0002, apple.is_some_and(|facts| facts.boot_args.is_some())),
        (APPLE_FACTS_STREAM, of_apple),
        (NATIVE_CONTEXTS_STREAM, windows.is_some_and(has_native_registers)),
        (XSAVE_LIST_STREAM, snapshot.threads.iter().any(has_extended_state)),
    ];
    let there = sometimes.iter().filter(|(_, there)| *there).map(|(stream, _)| *stream);
    let mut types: BTreeSet<u32> = ALWAYS.into_iter().chain(there).collect();
    types.retain(|stream| !omit.contains(stream));
    types.retain(|stream| *stream != 6 || !is_windows || snapshot.exception.is_some());
    let without_memory = omit.iter().any(|stream| MEMORY.contains(stream));
    types.retain(|stream| !(without_memory && MEMORY.contains(stream)));
    if without_memory || source_is_complete {
        types.remove(&HOLE_TABLE_STREAM);
    }
    types.extend(extras.iter().filter(|extra| extra.size.is_some()).map(|extra| extra.stream_type));
    types
}

fn has_extended_state(thread: &Thread) -> bool {
    match &thread.cpu {
        Some(CpuState::Amd64(state)) => state.xsave.len() > 576,
        Some(CpuState::X86(state)) => state.xsave.len() > 576,
        _ => false,
    }
}

fn has_native_registers(facts: &WindowsFacts) -> bool {
    facts.threads.iter().any(|thread| thread.native.is_some())
}

fn check_file(raw: &Raw, snapshot: &Snapshot, plan: &MemoryPlan) -> Result<(), TestCaseError> {
    let mut places: Vec<(usize, usize)> = raw.directory().iter().map(|(_, at, size)| (*at, *size)).collect();
    places.sort_unstable();
    let mut end = 32 + 12 * places.len();
    for (offset, size) in places {
        prop_assert!(offset >= end && offset + size <= raw.bytes.len());
        end = offset + size;
    }
    let dump = Minidump::read(raw.bytes.as_slice()).unwrap();
    if raw.find(3).is_some() {
        let threads = dump.get_stream::<MinidumpThreadList<'_>>().unwrap();
        let found: Vec<u32> = threads.threads.iter().map(|thread| thread.raw.thread_id).collect();
        let expected: Vec<u32> = snapshot.threads.iter().map(|thread| thread.id).collect();
        prop_assert_eq!(found, expected);
    }
    if MEMORY.iter().any(|stream| raw.find(*stream).is_some()) {
        let memory = dump.get_memory().unwrap();
        let found: Vec<_> = memory.iter().map(|memory| (memory.base_address(), memory.size())).collect();
        let expected: Vec<_> = plan.ranges().iter().map(|range| (range.start, range.size)).collect();
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_mix_of_options_gives_a_readable_file_with_the_streams_that_were_asked_for(
        snapshot in prop_oneof![any_snapshot(), any_mac_snapshot(), any_windows_snapshot()],
        arm64_context in any_pair(),
        plan in any_plan(),
        omit in any_omit(),
        extras in any_extras(),
        source_is_complete in any::<bool>(),
        has_memory in any::<bool>(),
        hole_capacity in select(vec![0, 1, 2, 512, u32::MAX]),
        flags in select(vec![0, 2, 8, 1 << 63]),
    ) {
        let sections: Vec<&dyn SectionWriter> = extras.iter().map(|extra| extra as &dyn SectionWriter).collect();
        let options = LayoutOptions { extra_sections: &sections, source_is_complete, hole_capacity, omit: &omit, flags, arm64_context };
        let layout = layout(&snapshot, &plan, &options).unwrap();
        let source = if has_memory || source_is_complete { full_source(&plan) } else { BufferSource::new() };
        let (bytes, _) = write(&layout, &source);
        let raw = Raw::new(bytes);
        let found: Vec<u32> = raw.directory().into_iter().map(|(stream, _, _)| stream).collect();
        let types: BTreeSet<u32> = found.iter().copied().collect();
        prop_assert_eq!(types.len(), found.len(), "no type twice");
        let mut expected = expected_types(&snapshot, &omit, &extras, source_is_complete);
        if flags & WITH_FULL_MEMORY != 0 && expected.remove(&MEMORY[0]) {
            expected.insert(MEMORY[1]);
        }
        prop_assert_eq!(types, expected);
        let failed = extras.iter().filter(|extra| extra.size.is_none()).count();
        prop_assert_eq!(layout.soft_errors().len(), failed, "leaving out on purpose is no error");
        prop_assert_eq!(raw.u64(24) & flags, flags);
        check_file(&raw, &snapshot, &plan)?;
    }
}
