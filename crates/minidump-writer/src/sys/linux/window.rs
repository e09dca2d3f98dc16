//! While the target stands still: registers, memory map, memory. Nothing else belongs here.

use super::before::{Before, Image};
use super::blame::{blame, take_crash};
use super::hold::{self, HeldMemory, Hold};
use super::memory::ProcessMemory;
use super::proc_fs::{Stat, maps_are};
use super::seize_watch::SeizeWatch;
use super::stopped_threads::StoppedThreads;
use super::target::Target;
use super::tracees::{StopFailure, Tracees};
use crate::snapshot::{
    LinuxFacts, MemoryMode, MemoryPlan, PlannedRange, Process, Purpose, Snapshot, SoftError, Stage,
};
use crate::{DumpOptions, Error, Format};
use libc::pid_t;
use minidump_formats::elf_core;
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the window yields. Copied memory lies in the arena of [`Before`].
#[derive(Debug)]
pub struct Window {
    /// When the first thread was asked to stop.
    pub start: Instant,
    /// Threads with registers, regions without names.
    pub snapshot: Snapshot,
    /// What belongs into the dump.
    pub plan: MemoryPlan,
    /// Where it is to be read from, when it was not copied.
    pub held: Option<HeldMemory>,
    /// How long the target stood still, if it runs again.
    pub stopped: Duration,
}

/// How the target comes to stand still.
#[derive(Debug)]
pub enum Stop<'a> {
    /// All its threads are stopped. That must happen on a thread that ends afterwards; another one should look at the watch.
    Seize(SeizeWatch),
    /// The calling thread has stopped these already.
    Before(&'a [pid_t]),
}

/// Stops the target, reads, and lets it go.
pub fn run(
    target: &Target,
    before: &mut Before,
    options: &DumpOptions,
    how: Stop<'_>,
) -> Result<(Window, Hold), Error> {
    let process = Process { pid: target.pid.unsigned_abs(), ..Process::default() };
    let mut snapshot = Snapshot::new(process, before.system.clone());
    let mut errors = Vec::new();
    let (start, mut tracees) = stop(target, before, options, how, &mut snapshot, &mut errors)?;
    snapshot.captured_at_us = now_us();
    let memory_tid = tracees.stopped().next();
    let memory = refresh_image(target, before, options, &mut snapshot, memory_tid, &mut errors)?;
    // The plan takes the loader's structures from here.
    snapshot.linux = Some(LinuxFacts { dso_debug: before.image.dso_debug.take(), ..LinuxFacts::default() });
    take_crash(&mut snapshot, options.crash.as_ref(), &mut errors);
    let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
    blame(&mut snapshot, crashed.or(options.blamed_thread).or(target.named_thread), &mut errors);
    if let Some(smaps) = &before.smaps {
        smaps.mark(&mut snapshot.regions);
    }
    let mut plan = MemoryPlan::new(&snapshot, &options.memory, &mut errors);
    if options.format == Format::ElfCore {
        plan = plan.joined_with(&wanted_by_debuggers(&mut snapshot, &mut before.image));
    }
    if options.memory.mode == MemoryMode::Full {
        let (process, hold) = if options.copy_on_write {
            hold::fork(target, &mut tracees, before, options, &plan, &memory, &mut errors)?
        } else {
            let tid = memory_tid.unwrap_or(target.live_tid);
            let process = before.image.memory(tid, false).for_bulk_reads();
            (HeldMemory { process, copied: Vec::new() }, Hold::Target(tracees))
        };
        let stopped = start.elapsed();
        if matches!(hold, Hold::Copy(_)) {
            errors.extend(hold::note_shared(&snapshot.regions, &plan));
        }
        snapshot.soft_errors = errors;
        return Ok((Window { start, snapshot, plan, held: Some(process), stopped }, hold));
    }
    let copied = copy(before, &snapshot, options, &plan, &memory, &mut errors);
    tracees.release();
    let stopped = start.elapsed();
    if let Some(more) = copied.map_err(|source| Error::Memory { pid: target.pid, source })? {
        plan = plan.joined_with(&more);
    }
    snapshot.soft_errors = errors;
    Ok((Window { start, snapshot, plan, held: None, stopped }, Hold::Nothing))
}

/// Stops the target and puts its threads, with registers, and the regions known so far into `snapshot`. Returns when the
/// first thread was asked to stop.
///
/// The sleeping threads stop first. Only running ones notice that they stand still; so whatever needs no more than the
/// sleeping ones is done while the others still run.
fn stop(
    target: &Target,
    before: &mut Before,
    options: &DumpOptions,
    how: Stop<'_>,
    snapshot: &mut Snapshot,
    errors: &mut Vec<SoftError>,
) -> Result<(Instant, Tracees), Error> {
    let crashed = options.crash.as_ref().map(|crash| crash.exception.thread);
    let suspects: Vec<u32> =
        [crashed, options.blamed_thread, target.named_thread].into_iter().flatten().collect();
    let Before { threads: known, tasks, registers, .. } = before;
    let watch = match how {
        Stop::Seize(watch) => watch,
        Stop::Before(stopped) => {
            let start = Instant::now();
            let tracees = Tracees::stopped_before(target.pid, stopped, tasks);
            let mut threads = StoppedThreads::new(registers, &suspects, known.len() + 4);
            threads.add(tracees.stopped(), errors);
            snapshot.regions = std::mem::take(&mut before.regions);
            snapshot.threads = threads.finish(tasks.folder(), &tracees, errors);
            return Ok((start, tracees));
        }
    };
    let refused = |failure| refusal(target, failure);
    let sleeps = |tid| known.sleeps(tid);
    let mut tracees = Tracees::seize(target.pid, target.own_child, tasks, sleeps, options.deadline, watch)
        .map_err(refused)?;
    let mut threads = StoppedThreads::new(registers, &suspects, known.len() + 4);
    let start = Instant::now();
    let first_awake = tracees.stop_sleepers();
    threads.add(tracees.stopped(), errors);
    snapshot.regions = std::mem::take(&mut before.regions);
    tracees.stop_rest(tasks, errors).map_err(refused)?;
    threads.add(tracees.stopped_from(first_awake), errors);
    snapshot.threads = threads.finish(tasks.folder(), &tracees, errors);
    Ok((start, tracees))
}

/// What debuggers look for in a core besides what belongs into every dump.
fn wanted_by_debuggers(snapshot: &mut Snapshot, image: &mut Image) -> MemoryPlan {
    std::mem::swap(&mut snapshot.modules, &mut image.modules);
    let wanted = elf_core::wanted_ranges(snapshot);
    std::mem::swap(&mut snapshot.modules, &mut image.modules);
    let range = |(start, size)| PlannedRange { start, size, purpose: Purpose::Loader };
    MemoryPlan::from_ranges(wanted.into_iter().map(range).collect(), Vec::new())
}

/// Copies the memory of `plan` into the arena, and what its pointers point at. Returns the plan of the latter.
fn copy(
    before: &mut Before,
    snapshot: &Snapshot,
    options: &DumpOptions,
    plan: &MemoryPlan,
    memory: &ProcessMemory,
    errors: &mut Vec<SoftError>,
) -> io::Result<Option<MemoryPlan>> {
    let page_size = u64::from(before.system.page_size);
    let arena = &mut before.arena;
    arena.copy(plan, memory, page_size, errors)?;
    if options.memory.mode != MemoryMode::Indirect {
        return Ok(None);
    }
    let more = plan.pointed_to(snapshot, &options.memory, arena, errors);
    arena.copy(&more, memory, page_size, errors)?;
    Ok(Some(more))
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn refusal(target: &Target, failure: StopFailure) -> Error {
    match failure {
        StopFailure::Gone => Error::TargetGone { pid: target.pid },
        StopFailure::Denied => target.denied(),
        StopFailure::Other(source) => Error::Stop { pid: target.pid, source },
    }
}

/// Brings what was read before the stop up to date with the stopped target.
fn refresh_image(
    target: &Target,
    before: &mut Before,
    options: &DumpOptions,
    snapshot: &mut Snapshot,
    memory_tid: Option<pid_t>,
    errors: &mut Vec<SoftError>,
) -> Result<ProcessMemory, Error> {
    let image = &mut before.image;
    let tid = memory_tid.unwrap_or(target.live_tid);
    let traced = memory_tid.is_some();
    let text = &mut before.spare_text;
    let compared = maps_are(&image.maps_text, &image.maps_file, text);
    let same_map = compared.as_ref().is_ok_and(|same| *same);
    if compared.is_err() || (!same_map && text.is_empty()) {
        // The memory this file was bound to is gone: the target has called exec, or is at its end.
        *image = reread_image(target, options, tid, traced)?;
        let message =
            "the process replaced its program (exec) during the capture; the dump shows the new one";
        errors.push(SoftError::new(Stage::Target, message));
        snapshot.regions = image.nameless_regions();
        return Ok(image.memory(tid, traced));
    }
    let memory = image.memory(tid, traced);
    if !same_map {
        let same = image.take_map(text);
        snapshot.regions = image.nameless_regions();
        if !same {
            image.read_modules(&memory, None);
            image.list_is_of_the_window = true;
        }
    }
    Ok(memory)
}

/// Reads the image anew, if it still is that of the process that was asked for.
fn reread_image(target: &Target, options: &DumpOptions, tid: pid_t, traced: bool) -> Result<Image, Error> {
    let pid = target.pid;
    let stat = Stat::read(format!("/proc/{pid}/stat")).map_err(|_| Error::TargetGone { pid })?;
    if stat.start != target.stat.start {
        return Err(Error::TargetGone { pid });
    }
    let image = Image::read(&target.through(tid), options.auxv, traced)?;
    if image.mappings.is_empty() { Err(Error::TargetGone { pid }) } else { Ok(image) }
}
