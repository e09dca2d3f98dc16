//! Cores and minidumps of the processes, by our capture and our encoders.

use crate::emulator::Stop;
use crate::scene::{FIRST_ID, Scene};
use minidump_formats::macho_core::{self, MachoCoreOptions};
use minidump_formats::minidump::{Arm64Context, LayoutOptions, layout};
use minidump_mach::sim::SimTask;
use minidump_mach::{CaptureOptions, CrashedThread, MachCrash, MachException, PlanKind, capture};
use minidump_snapshot::Snapshot;
use std::path::PathBuf;
use tempfile::TempDir;

/// EXC_BAD_ACCESS (mach/exception_types.h).
pub const BAD_ACCESS: u32 = 1;
/// EXC_CRASH.
pub const CRASH: u32 = 10;
/// EXC_RESOURCE.
pub const RESOURCE: u32 = 11;
/// EXC_GUARD.
pub const GUARD: u32 = 12;

/// A file that was written.
#[derive(Debug)]
pub struct Dump {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where it lies, as long as this lives.
    pub path: PathBuf,
    /// What it tells.
    pub snapshot: Snapshot,
    _folder: TempDir,
}

impl Dump {
    fn new(bytes: Vec<u8>, name: &str, snapshot: Snapshot) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).unwrap();
        Self { bytes, path, snapshot, _folder: folder }
    }

    /// The first `size` bytes of it.
    #[must_use]
    pub fn cut(&self, size: usize) -> Self {
        Self::new(self.bytes[..size].to_vec(), "cut", self.snapshot.clone())
    }

    /// The core with other names for the notes of these owners, so that no reader knows them.
    #[must_use]
    pub fn hiding(&self, owners: &[&str]) -> Self {
        let mut bytes = self.bytes.clone();
        for owner in owners {
            let mut name = [0; 16];
            name[..owner.len()].copy_from_slice(owner.as_bytes());
            let at = bytes.windows(16).position(|window| window == name).unwrap();
            bytes[at] = b'-';
        }
        Self::new(bytes, "core", self.snapshot.clone())
    }
}

/// The exception that the thread at `index` of `scene` raised, as the kernel tells it.
pub fn exception(scene: &Scene, index: usize) -> MachException {
    match scene.threads[index].stop {
        // A signal that a call sent: EXC_CRASH with SIGABRT, and no exception inside.
        Stop::SystemCall => MachException { kind: CRASH, codes: [6 << 24, 0] },
        // KERN_INVALID_ADDRESS.
        Stop::Read(address) | Stop::Write(address) | Stop::Fetch(address) => {
            MachException { kind: BAD_ACCESS, codes: [1, address] }
        }
    }
}

/// The exception and the thread.
pub fn crash_of(index: usize, exception: MachException) -> MachCrash {
    let id = FIRST_ID + index as u64;
    MachCrash { thread: CrashedThread::Id(id), exception: Some(exception), states: Vec::new() }
}

/// A core of `scene`, in which the thread at `crashed` did.
#[track_caller]
pub fn core(scene: &Scene, crashed: Option<usize>) -> Dump {
    let crash = crashed.map(|index| crash_of(index, exception(scene, index)));
    core_of(&scene.task(), crash.as_ref(), &CaptureOptions::default())
}

/// A core of `task`.
#[track_caller]
pub fn core_of(task: &SimTask, crash: Option<&MachCrash>, options: &CaptureOptions) -> Dump {
    let options = CaptureOptions { plan: PlanKind::Core, ..options.clone() };
    let captured = capture(task, &options, crash).unwrap();
    let complete =
        MachoCoreOptions { source_is_complete: captured.is_complete(), ..MachoCoreOptions::default() };
    let laid_out = macho_core::layout(&captured.snapshot, &captured.plan, &complete).unwrap();
    let mut bytes = Vec::new();
    laid_out.write(&captured.memory, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, laid_out.total_size());
    Dump::new(bytes, "core", captured.snapshot)
}

/// A minidump of `scene`, in which the thread at `crashed` did.
#[track_caller]
pub fn minidump(scene: &Scene, crashed: Option<usize>, context: Arm64Context) -> Dump {
    let crash = crashed.map(|index| crash_of(index, exception(scene, index)));
    minidump_of(&scene.task(), crash.as_ref(), context)
}

/// A minidump of `task`.
#[track_caller]
pub fn minidump_of(task: &SimTask, crash: Option<&MachCrash>, context: Arm64Context) -> Dump {
    let options = CaptureOptions { plan: PlanKind::Minidump, ..CaptureOptions::default() };
    let captured = capture(task, &options, crash).unwrap();
    let source_is_complete = captured.is_complete();
    let options = LayoutOptions { source_is_complete, arm64_context: context, ..LayoutOptions::default() };
    let laid_out = layout(&captured.snapshot, &captured.plan, &options).unwrap();
    let mut bytes = Vec::new();
    laid_out.write(&captured.memory, &mut bytes).unwrap();
    Dump::new(bytes, "minidump.dmp", captured.snapshot)
}
