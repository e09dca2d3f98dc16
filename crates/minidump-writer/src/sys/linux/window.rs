//! While the target stands still: registers, memory map, memory. Nothing else belongs here.

use super::before::{Before, Image};
use super::hold::{self, HeldMemory, Hold};
use super::loader;
use super::maps::{self, Mapping};
use super::memory::ProcessMemory;
use super::modules::same_modules;
use super::proc_fs::{Stat, read_maps};
use super::registers::RegisterReader;
use super::target::Target;
use super::tracees::{StopFailure, Tracees, blocked_at};
use crate::snapshot::{
    CpuState, Crash, LinuxFacts, MemoryMode, MemoryPlan, PlannedRange, Process, Purpose, Region, Snapshot,
    SoftError, Stage, Thread,
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

/// Stops the target, reads, and lets it go. Must run on a thread that ends afterwards.
pub fn run(target: &Target, before: &mut Before, options: &DumpOptions) -> Result<(Window, Hold), Error> {
    let process = Process { pid: target.pid.unsigned_abs(), ..Process::default() };
    let mut snapshot = Snapshot::new(process, before.system.clone());
    let start = Instant::now();
    snapshot.captured_at_us = now_us();
    let mut errors = Vec::new();
    let mut tracees =
        Tracees::stop_all(target.pid, target.own_child, &mut before.tasks, options.deadline, &mut errors)
            .map_err(|failure| refusal(target, failure))?;
    snapshot.threads = threads(target.pid, &tracees, &mut before.registers, &mut errors);
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

/// Registers of all threads, by ascending id.
fn threads(
    pid: pid_t,
    tracees: &Tracees,
    reader: &mut RegisterReader,
    errors: &mut Vec<SoftError>,
) -> Vec<Thread> {
    let mut threads = Vec::with_capacity(tracees.stopped().count() + 4);
    for tid in tracees.stopped() {
        let mut thread = Thread::new(tid.unsigned_abs());
        match reader.read(tid) {
            Ok((cpu, missing)) => {
                let CpuState::Amd64(state) = &cpu else { continue };
                thread.thread_pointer = Some(state.fs_base);
                thread.cpu = Some(cpu);
                errors.extend(missing.map(|error| {
                    let soft = SoftError::new(Stage::Registers, "some registers could not be read");
                    soft.thread(thread.id).os_error(error.raw_os_error())
                }));
            }
            Err(error) => {
                let soft =
                    SoftError::new(Stage::Registers, format!("the registers could not be read: {error}"));
                errors.push(soft.thread(thread.id).os_error(error.raw_os_error()));
            }
        }
        threads.push(thread);
    }
    for tid in tracees.unstoppable() {
        let fallback_sp_ip = blocked_at(pid, tid);
        threads.push(Thread { fallback_sp_ip, ..Thread::new(tid.unsigned_abs()) });
    }
    threads.sort_unstable_by_key(|thread| thread.id);
    threads
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
    let mut text = Vec::with_capacity(image.maps_text.len() + 8192);
    let read = read_maps(&image.maps_file, &mut text);
    if read.is_err() || text.is_empty() {
        // The memory this file was bound to is gone: the target has called exec, or is at its end.
        *image = reread_image(target, options, tid, traced)?;
        let message =
            "the process replaced its program (exec) during the capture; the dump shows the new one";
        errors.push(SoftError::new(Stage::Target, message));
        snapshot.regions = nameless_regions(&image.mappings, &image.maps_text);
        return Ok(image.memory(tid, traced));
    }
    let mut mappings = Vec::with_capacity(image.mappings.len() + 64);
    maps::parse(&text, &mut mappings);
    snapshot.regions = nameless_regions(&mappings, &text);
    let memory = image.memory(tid, traced);
    let same = same_modules(&image.mappings, &image.maps_text, &mappings, &text);
    image.maps_text = text;
    image.mappings = mappings;
    if same {
        let known = image.dso_debug.take();
        image.dso_debug = match known.and_then(|known| loader::revalidate(known, &memory)) {
            Some(known) => Some(known),
            None => loader::read(&image.auxv, &memory, &mut image.module_errors),
        };
    } else {
        image.read_modules(&memory, None);
    }
    Ok(memory)
}

/// Names are allocations; they are filled in after the window.
fn nameless_regions(mappings: &[Mapping], text: &[u8]) -> Vec<Region> {
    mappings.iter().map(|mapping| mapping.to_nameless_region(text)).collect()
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

/// Takes over what the crashing program recorded. Its registers replace those of the thread, which by now runs a crash
/// handler or has gone.
fn take_crash(snapshot: &mut Snapshot, crash: Option<&Crash>, errors: &mut Vec<SoftError>) {
    let Some(Crash { exception, cpu }) = crash else { return };
    snapshot.exception = Some(exception.clone());
    let position = snapshot.threads.iter().position(|thread| thread.id == exception.thread);
    let index = position.unwrap_or_else(|| {
        let message = "the crashed thread has gone; its registers are those that the crash handler recorded";
        errors.push(SoftError::new(Stage::Target, message).thread(exception.thread));
        snapshot.threads.push(Thread::new(exception.thread));
        snapshot.threads.len() - 1
    });
    let (Some(thread), Some(cpu)) = (snapshot.threads.get_mut(index), cpu) else { return };
    let mut cpu = cpu.clone();
    let CpuState::Amd64(state) = &mut cpu else { return };
    // A signal context has no segment bases; the thread keeps its own for as long as it lives.
    if state.fs_base == 0
        && let Some(CpuState::Amd64(now)) = &thread.cpu
    {
        (state.fs_base, state.gs_base) = (now.fs_base, now.gs_base);
    }
    thread.thread_pointer = thread.thread_pointer.or(Some(state.fs_base).filter(|base| *base != 0));
    thread.cpu = Some(cpu);
}

/// Chooses the blamed thread and puts it first.
fn blame(snapshot: &mut Snapshot, asked: Option<u32>, errors: &mut Vec<SoftError>) {
    let has = |id: u32| snapshot.threads.iter().any(|thread| thread.id == id);
    if let Some(id) = asked.filter(|id| !has(*id)) {
        let message = "the process has no such thread (any more); another one is blamed";
        errors.push(SoftError::new(Stage::Target, message).thread(id));
    }
    let main = snapshot.process.pid;
    let first = snapshot.threads.first().map(|thread| thread.id);
    let blamed = asked.filter(|id| has(*id)).or(Some(main).filter(|id| has(*id))).or(first);
    snapshot.blamed_thread = blamed;
    if let Some(index) = snapshot.threads.iter().position(|thread| Some(thread.id) == blamed)
        && let Some(front) = snapshot.threads.get_mut(..=index)
    {
        front.rotate_right(1);
    }
}
