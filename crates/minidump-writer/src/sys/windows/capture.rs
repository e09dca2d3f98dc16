use super::blame::{blame, take_crash};
use super::copied::Copied;
use super::hold::Hold;
use super::memory::ProcessMemory;
use super::open::{Holder, Target};
use super::process::ProcessFacts;
use super::registers::{Readers, Registers};
use super::session::Session;
use super::source::{Held, Source};
use super::threads::{ThreadHandle, Threads};
use super::{machine, modules, regions, thread_facts, times};
use crate::snapshot::{
    CpuState, MemoryMode, MemoryPlan, Snapshot, SoftError, Stage, Thread, WindowsFacts, WindowsThread,
};
use crate::sys::wishes;
use crate::{DumpOptions, Error, Pid};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stack that a thread mostly has in use, in bytes: so much room is made ready for each.
const EXPECTED_STACK: usize = 16 << 10;

/// A process, captured.
#[derive(Debug)]
pub struct Capture {
    /// Facts.
    pub snapshot: Snapshot,
    /// Memory that belongs into the dump.
    pub plan: MemoryPlan,
    /// Its bytes.
    pub memory: Source,
    /// How long the target stood still, if it runs again.
    stopped: Duration,
}

impl Capture {
    /// Whether `memory` is known to hold every byte of `plan`.
    pub fn is_complete(&self) -> bool {
        self.memory.holds(&self.plan)
    }

    /// The captured process.
    pub fn pid(&self) -> Pid {
        Pid::try_from(self.snapshot.process.pid).unwrap_or_default()
    }

    /// Lets go of what was held for the sake of `memory`. Returns how long the target stood still.
    pub fn finish(self) -> Duration {
        match self.memory {
            Source::Copied(_) => self.stopped,
            Source::Held(held) => held.finish(),
        }
    }

    /// As [`finish`](Self::finish); the room that the memory was copied to goes to `session`.
    pub fn finish_into(self, session: &mut Session) -> Duration {
        match self.memory {
            Source::Copied(mut copied) => {
                copied.clear();
                session.room = copied;
                self.stopped
            }
            Source::Held(held) => held.finish(),
        }
    }
}

/// Captures process `pid`, or the process of thread `pid`.
///
/// # Errors
/// When the process cannot be captured at all; what is merely missing is in the snapshot's soft errors.
pub fn capture(pid: Pid, options: &DumpOptions) -> Result<Capture, Error> {
    let target = Target::open(pid, Holder::Capture)?;
    capture_target(&target, options, Holder::Capture, Copied::default())
}

/// Captures process `pid`, which the caller stops and keeps stopped.
///
/// # Errors
/// As [`capture`].
pub fn capture_stopped(pid: Pid, options: &DumpOptions) -> Result<Capture, Error> {
    let options = DumpOptions { copy_on_write: false, ..options.clone() };
    let target = Target::open(pid, Holder::Caller)?;
    capture_target(&target, &options, Holder::Caller, Copied::default())
}

/// Captures an open process. Its memory goes to `room`.
pub fn capture_target(
    target: &Target,
    options: &DumpOptions,
    holder: Holder,
    room: Copied,
) -> Result<Capture, Error> {
    let before = Before::read(target);
    let window = Window::run(target, &before, options, holder, room)?;
    Ok(complete(target, options, before, window))
}

/// What is read while the target still runs.
struct Before {
    process: ProcessFacts,
    snapshot: Snapshot,
    /// How often each thread is suspended, before the capture does that.
    suspended: HashMap<u32, u32>,
}

impl Before {
    fn read(target: &Target) -> Self {
        let process = ProcessFacts::of(target);
        let snapshot = Snapshot::new(process.process(target), machine::system(target.is_wow64));
        let mut threads = Threads::default();
        // Whatever is wrong shows again, and is told, when the threads are stopped.
        let _ = threads.find_new(target.handle(), target.id, false);
        let count = |thread: &ThreadHandle| Some((thread.id, thread_facts::suspend_count(thread)?));
        let suspended = threads.list().iter().filter_map(count).collect();
        Self { process, snapshot, suspended }
    }
}

/// What the time in which the target stands still yields.
struct Window {
    snapshot: Snapshot,
    windows: WindowsFacts,
    threads: Threads,
    /// The 64-bit registers of threads of a 32-bit program.
    native: HashMap<u32, CpuState>,
    plan: MemoryPlan,
    memory: Source,
    stopped: Duration,
}

impl Window {
    fn run(
        target: &Target,
        before: &Before,
        options: &DumpOptions,
        holder: Holder,
        mut copied: Copied,
    ) -> Result<Self, Error> {
        let pid = target.pid;
        let mut errors = Vec::new();
        copied.prepare((before.suspended.len() + 1).saturating_mul(EXPECTED_STACK));
        let mut snapshot = before.snapshot.clone();
        let mut threads = Threads::default();
        let readers = Readers::ready().map_err(|source| Error::Memory { pid, source })?;
        let start = Instant::now();
        let deadline = start + options.deadline;
        let hold = match holder {
            Holder::Capture => Hold::of(target, &mut threads, deadline, &mut errors)?,
            Holder::Caller => {
                let found = threads.find_new(target.handle(), target.id, false);
                found.map_err(|source| Error::Stop { pid, source })?;
                Hold::lent()
            }
        };
        snapshot.captured_at_us = times::now_us();
        if threads.list().is_empty() {
            return Err(Error::TargetGone { pid });
        }
        let registers = readers.read(threads.list(), target.is_wow64, deadline);
        let native;
        (snapshot.threads, native) = with_registers(threads.list(), registers, &mut errors);
        let regions = regions::query(target.handle());
        snapshot.regions = regions::mapped(&regions);
        take_crash(&mut snapshot, options.crash.as_ref(), &mut errors);
        let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
        let blamed = crashed.or(options.blamed_thread).or(target.named_thread);
        blame(&mut snapshot, blamed, &mut errors);
        snapshot.windows = Some(WindowsFacts::default());
        let mut plan = MemoryPlan::new(&snapshot, &options.memory, &mut errors);
        let memory = ProcessMemory::new(Arc::clone(&target.process), &snapshot.regions);
        let windows = WindowsFacts { regions, ..WindowsFacts::default() };
        if options.memory.mode == MemoryMode::Full {
            snapshot.soft_errors = errors;
            let held = Held::new(memory, hold, start, options.hold_limit);
            let memory = Source::Held(held.map_err(|source| Error::Memory { pid, source })?);
            return Ok(Self { snapshot, windows, threads, native, plan, memory, stopped: start.elapsed() });
        }
        let more = copy(&mut copied, &plan, &memory, &snapshot, options, &mut errors);
        drop(hold);
        let stopped = start.elapsed();
        if let Some(more) = more.map_err(|source| Error::Memory { pid, source })? {
            plan = plan.joined_with(&more);
        }
        snapshot.soft_errors = errors;
        Ok(Self { snapshot, windows, threads, native, plan, memory: Source::Copied(copied), stopped })
    }
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
        thread.thread_pointer = Some(handle.teb).filter(|teb| *teb != 0);
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

/// Puts the snapshot together, when the target runs again, or while it stands for the sake of its memory.
fn complete(target: &Target, options: &DumpOptions, before: Before, window: Window) -> Capture {
    let Window { mut snapshot, mut windows, threads, mut native, plan, memory, stopped } = window;
    let mut facts: Vec<WindowsThread> = Vec::with_capacity(threads.list().len());
    for handle in threads.list() {
        let suspended = before.suspended.get(&handle.id).copied().unwrap_or(0);
        let own = thread_facts::windows_facts(handle, before.process.priority_class, suspended);
        facts.push(WindowsThread { native: native.remove(&handle.id), ..own });
        if let Some(thread) = snapshot.threads.iter_mut().find(|thread| thread.id == handle.id) {
            thread_facts::fill(handle, thread);
        }
    }
    facts.sort_by_key(|thread| thread.id);
    windows.threads = facts;
    (windows.peb, windows.native_peb) = match before.process {
        ProcessFacts { peb32: Some(peb), peb: native, .. } => (Some(peb), native),
        ProcessFacts { peb, .. } => (peb, None),
    };
    let found = wishes::without_overlaps(modules::list(target.handle()));
    snapshot.modules = wishes::with_user_modules(found, &options.user_modules);
    snapshot.annotations.clone_from(&options.annotations);
    snapshot.windows = Some(windows);
    let plan = wishes::plan(plan, &options.memory, &mut snapshot, &memory);
    Capture { snapshot, plan, memory, stopped }
}
