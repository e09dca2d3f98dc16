//! The files as this host makes them.

use crate::run::{NOW, Request};
use minidump_formats::macho_core::{self, MachoCoreOptions};
use minidump_formats::minidump::{self, LayoutOptions};
use minidump_mach::{CaptureOptions, ImageHeaders, MachTask, PlanKind, capture};
use minidump_snapshot::{MemoryMode, MemoryPolicy, Snapshot};

/// `MiniDumpWithFullMemory`.
const WITH_FULL_MEMORY: u64 = 2;

/// Name and version of what writes the files.
fn program() -> String {
    let manifest = include_str!("../../../../crates/minidump-writer/Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    format!("minidump-writer {}", version.trim_matches('"'))
}

/// What is captured of `task` at [`NOW`], and the file of it.
pub fn file(task: &dyn MachTask, request: &Request) -> (Snapshot, Vec<u8>) {
    let options = CaptureOptions {
        plan: if request.core { PlanKind::Core } else { PlanKind::Minidump },
        memory: MemoryPolicy { mode: request.memory, ..MemoryPolicy::default() },
        image_headers: ImageHeaders::Executing,
        program: program(),
        executable: request.told.executable.clone(),
        bundle_version: request.told.bundle_version.clone(),
        ..CaptureOptions::default()
    };
    let mut captured = capture(task, &options, request.crash.as_ref()).unwrap();
    captured.snapshot.captured_at_us = NOW / 1000;
    captured.snapshot.annotations.clone_from(&request.told.annotations);
    let (mut bytes, source_is_complete) = (Vec::new(), captured.is_complete());
    let (snapshot, plan) = (&captured.snapshot, &captured.plan);
    if request.core {
        let options = MachoCoreOptions { source_is_complete, ..MachoCoreOptions::default() };
        macho_core::layout(snapshot, plan, &options).unwrap().write(&captured.memory, &mut bytes).unwrap();
    } else {
        let flags = if request.memory == MemoryMode::Full { WITH_FULL_MEMORY } else { 0 };
        let options = LayoutOptions { source_is_complete, flags, ..LayoutOptions::default() };
        minidump::layout(snapshot, plan, &options).unwrap().write(&captured.memory, &mut bytes).unwrap();
    }
    let snapshot = captured.snapshot.clone();
    captured.finish();
    (snapshot, bytes)
}
