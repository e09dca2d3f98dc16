//! While the target stands still: registers, memory map, memory. Nothing else belongs here.

use super::before::Before;
use super::blame::{blame, take_crash};
use super::clone::ProcessClone;
use super::copied::Copied;
use super::hold::Hold;
use super::images::{Tebs, View};
use super::memory::ProcessMemory;
use super::open::{Holder, Target};
use super::registers::{Readers, Registers};
use super::source::{Cloned, Held, Source};
use super::threads::{ThreadHandle, Threads};
use super::{images, regions, stacks, times};
use crate::snapshot::{CpuState, MemoryMode, MemoryPlan, Snapshot, SoftError, Stage, Thread, WindowsFacts};
use crate::{DumpOptions, Error};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the window yields.
#[derive(Debug)]
pub struct Window {
    /// Threads with registers, regions without names, and of what only Windows tells the address space.
    pub snapshot: Snapshot,
    /// The threads, still open.
    pub threads: Threads,
    /// The 64-bit registers of threads of a 32-bit program.
    pub native: HashMap<u32, CpuState>,
    /// What belongs into the dump.
    pub plan: MemoryPlan,
    /// Its bytes.
    pub memory: Source,
    /// How long the target stood still, if it runs again.
    pub stopped: Duration,
}

impl Window {
    /// Makes the target stand still, reads, and lets it go.
    pub fn run(
        target: &Target,
        before: &mut Before,
        options: &DumpOptions,
        holder: Holder,
    ) -> Result<Self, Error> {
        let pid = target.pid;
        let no_memory = |source| Error::Memory { pid, source };
        let mut errors = Vec::new();
        let mut copied = std::mem::take(&mut before.room);
        let mut snapshot = Snapshot::new(before.process.process(target), before.system.clone());
        let readers = Readers::ready().map_err(no_memory)?;
        let start = Instant::now();
        let (hold, mut threads) = hold(target, holder, start + options.deadline, &mut errors)?;
        snapshot.captured_at_us = times::now_us();
        let registers = readers.read(threads.list(), target.is_wow64, start + options.deadline);
        let memory = read_map(target, before, &mut threads, &mut snapshot, options);
        let native;
        (snapshot.threads, native) = with_registers(threads.list(), registers, &mut errors);
        take_crash(&mut snapshot, options.crash.as_ref(), &mut errors);
        let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
        let blamed = crashed.or(options.blamed_thread).or(target.named_thread);
        blame(&mut snapshot, blamed, &mut errors);
        let mut plan = MemoryPlan::new(&snapshot, &options.memory, &mut errors);
        let mut stopped = None;
        let memory = if options.memory.mode == MemoryMode::Full && options.copy_on_write {
            let clone = ProcessClone::of(target.handle(), pid)?;
            drop(hold);
            stopped = Some(start.elapsed());
            Source::Cloned(Cloned::new(clone, before.flags.clone(), &snapshot.regions).map_err(no_memory)?)
        } else if options.memory.mode == MemoryMode::Full {
            let flags = before.flags.clone();
            Source::Held(Held::new(memory, flags, hold, start, options.hold_limit).map_err(no_memory)?)
        } else {
            let more = copy(&mut copied, &plan, &memory, &snapshot, options, &mut errors);
            drop(hold);
            stopped = Some(start.elapsed());
            copied.restore(&before.flags);
            if let Some(more) = more.map_err(no_memory)? {
                plan = plan.joined_with(&more);
            }
            Source::Copied(copied)
        };
        let stopped = stopped.unwrap_or_else(|| start.elapsed());
        snapshot.soft_errors = errors;
        Ok(Self { snapshot, threads, native, plan, memory, stopped })
    }
}

/// Makes the target stand still, unless the caller does, and finds its threads.
fn hold(
    target: &Target,
    holder: Holder,
    deadline: Instant,
    errors: &mut Vec<SoftError>,
) -> Result<(Hold, Threads), Error> {
    let pid = target.pid;
    let mut threads = Threads::default();
    let hold = match holder {
        Holder::Capture => Hold::of(target, &mut threads, deadline, errors)?,
        Holder::Caller => {
            let found = threads.find_new(target.handle(), target.id, false);
            found.map_err(|source| Error::Stop { pid, source })?;
            Hold::lent()
        }
    };
    if threads.list().is_empty() { Err(Error::TargetGone { pid }) } else { Ok((hold, threads)) }
}

/// Puts the address space into `snapshot`, and the structures of the process, which the plan takes from there. Reads the
/// latter anew when those of `before` may not hold any more.
fn read_map(
    target: &Target,
    before: &mut Before,
    threads: &mut Threads,
    snapshot: &mut Snapshot,
    options: &DumpOptions,
) -> ProcessMemory {
    let address_space = regions::query(target.handle());
    snapshot.regions = regions::mapped(&address_space);
    let memory = ProcessMemory::new(Arc::clone(&target.process), &snapshot.regions);
    if target.is_wow64 {
        threads.find_teb32(&memory);
    }
    let pointer_size = snapshot.system.cpu.pointer_size();
    stacks::mark(&mut snapshot.regions, &address_space, threads.list(), &memory, pointer_size);
    let tebs = Tebs::of(threads.list());
    if !before.images.hold(&address_space, &tebs) {
        before.images = images::Images::read(&View {
            target,
            process: &before.process,
            memory: &memory,
            regions: &snapshot.regions,
            address_space: &address_space,
            tebs: &tebs,
        });
    }
    let wants = |stream: MINIDUMP_STREAM_TYPE| !options.omit.contains(&stream.into());
    let environment = options.keep_environ && wants(MINIDUMP_STREAM_TYPE::LinuxEnviron);
    let facts = &before.images.facts;
    let structures = facts.structures_with(wants(MINIDUMP_STREAM_TYPE::LinuxCmdLine), environment);
    snapshot.windows = Some(WindowsFacts { regions: address_space, structures, ..before.machine.clone() });
    memory
}

/// Threads of which nothing is known yet but their registers; and the 64-bit registers of those of 32-bit programs.
fn with_registers(
    handles: &[ThreadHandle],
    registers: Vec<Registers>,
    errors: &mut Vec<SoftError>,
) -> (Vec<Thread>, HashMap<u32, CpuState>) {
    let (mut threads, mut native) = (Vec::with_capacity(handles.len()), HashMap::new());
    for (handle, registers) in handles.iter().zip(registers) {
        let mut thread = Thread::new(handle.id);
        thread.thread_pointer = Some(handle.own_teb()).filter(|teb| *teb != 0);
        match registers.cpu {
            Ok(cpu) => thread.cpu = Some(cpu),
            Err(error) => {
                let soft = SoftError::new(Stage::Registers, why_none(&error));
                errors.push(soft.thread(handle.id).os_error(error.raw_os_error()));
            }
        }
        native.extend(registers.native.map(|cpu| (handle.id, cpu)));
        threads.push(thread);
    }
    (threads, native)
}

fn why_none(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::TimedOut {
        "the registers of a thread did not come in time, as when it waits for a device in the kernel"
    } else {
        "the registers of a thread could not be read"
    }
}

/// Copies the memory of `plan`, and what its pointers point at. Returns the plan of the latter.
fn copy(
    copied: &mut Copied,
    plan: &MemoryPlan,
    memory: &ProcessMemory,
    snapshot: &Snapshot,
    options: &DumpOptions,
    errors: &mut Vec<SoftError>,
) -> io::Result<Option<MemoryPlan>> {
    copied.copy(plan, memory, errors)?;
    if options.memory.mode != MemoryMode::Indirect {
        return Ok(None);
    }
    let more = plan.pointed_to(snapshot, &options.memory, copied, errors);
    copied.copy(&more, memory, errors)?;
    Ok(Some(more))
}
