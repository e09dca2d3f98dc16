//! After the target runs again: what does not need it to stand still. A target whose memory is yet to be written still
//! stands.

use super::before::{Before, open_handles};
use super::capture::Capture;
use super::image_files::LocalFiles;
use super::images::{self, Layered, Tebs, View};
use super::memory::ProcessMemory;
use super::open::Target;
use super::process::ProcessFacts;
use super::source::Source;
use super::threads::Threads;
use super::window::Window;
use super::{regions, security, thread_facts};
use crate::DumpOptions;
use crate::snapshot::{CpuState, MemorySource, Snapshot, WindowsFacts, WindowsThread};
use crate::sys::wishes;
use crate::windows_process::LoaderFacts;
use std::collections::HashMap;
use std::sync::Arc;

/// Puts the snapshot together.
pub fn complete(target: &Target, options: &DumpOptions, mut before: Before, window: Window) -> Capture {
    let Window { mut snapshot, threads, native, plan, memory, stopped } = window;
    let mut windows = snapshot.windows.take().unwrap_or_default();
    windows.threads = fill_threads(&threads, native, &before, &mut snapshot);
    (windows.peb, windows.native_peb) = match before.process {
        ProcessFacts { peb32: Some(peb), peb: native, .. } => (Some(peb), native),
        ProcessFacts { peb, .. } => (peb, None),
    };
    windows.integrity_level = security::integrity_level(target.handle());
    windows.execute_flags = security::execute_flags(target.handle());
    let (handles, errors) = before.handles.take().unwrap_or_else(|| open_handles(target));
    windows.handles = handles;
    snapshot.soft_errors.extend(errors);
    regions::name_files(target.handle(), &windows.regions, &mut snapshot.regions);
    let mut facts = examine(target, &before, &threads, &memory, &windows, &mut snapshot);
    images::completed(before.images.facts, &mut facts);
    snapshot.modules = wishes::with_user_modules(facts.modules, &options.user_modules);
    snapshot.process.executable = snapshot.process.executable.or(facts.executable);
    snapshot.annotations.clone_from(&options.annotations);
    snapshot.windows = Some(WindowsFacts {
        images: facts.images,
        unloaded_modules: facts.unloaded_modules,
        environment: facts.environment,
        native_environment: facts.native_environment,
        ..windows
    });
    let plan = wishes::plan(plan, &options.memory, &mut snapshot, &memory);
    Capture { snapshot, plan, memory, stopped }
}

/// Names, times and the like. Returns what only Windows tells of the threads.
fn fill_threads(
    threads: &Threads,
    mut native: HashMap<u32, CpuState>,
    before: &Before,
    snapshot: &mut Snapshot,
) -> Vec<WindowsThread> {
    let mut known: HashMap<u32, _> = snapshot.threads.iter_mut().map(|thread| (thread.id, thread)).collect();
    let mut facts = Vec::with_capacity(threads.list().len());
    for handle in threads.list() {
        let suspended = before.suspended.get(&handle.id).copied().unwrap_or(0);
        let own = thread_facts::windows_facts(handle, before.process.priority_class, suspended);
        facts.push(WindowsThread { native: native.remove(&handle.id), ..own });
        if let Some(thread) = known.get_mut(&handle.id) {
            thread_facts::fill(handle, thread);
        }
    }
    facts.sort_by_key(|thread| thread.id);
    facts
}

/// Modules and what else the structures tell, from the memory of the window where it was copied.
fn examine(
    target: &Target,
    before: &Before,
    threads: &Threads,
    memory: &Source,
    windows: &WindowsFacts,
    snapshot: &mut Snapshot,
) -> LoaderFacts {
    let live = ProcessMemory::new(Arc::clone(&target.process), &snapshot.regions);
    let layered = Layered { copied: memory, live: &live };
    let memory: &dyn MemorySource = match memory {
        Source::Copied(_) => &layered,
        Source::Held(_) | Source::Cloned(_) => memory,
    };
    let view = View {
        target,
        process: &before.process,
        memory,
        regions: &snapshot.regions,
        address_space: &windows.regions,
        tebs: &Tebs::of(threads.list()),
    };
    view.examine(&LocalFiles::new(), &mut snapshot.soft_errors)
}
