use crate::arch::Arch;
use crate::dyld::{AllImageInfos, Images, images};
use crate::exception::{MachCrash, decode};
use crate::image::crash_infos;
use crate::memory::TaskMemory;
use crate::own_process;
use crate::plan::{Planned, plan_and_copy};
use crate::source::CapturedMemory;
use crate::suspension::Suspension;
use crate::thread::{Found, ThreadReader, list};
use crate::{CaptureOptions, KernReturn, MachTask, process, regions, sysctl, system};
use minidump_snapshot::{
    AppleFacts, Exception, MemoryMode, MemoryPlan, Process, Region, RegionKind, Snapshot, SoftError, Stage,
};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often a task is looked at again whose dyld was changing its list, and how long it may run in between.
const DYLD_TRIES: u32 = 3;
const DYLD_PAUSE: Duration = Duration::from_millis(1);

/// A captured task.
#[derive(Debug)]
pub struct Captured<'a> {
    /// All facts.
    pub snapshot: Snapshot,
    /// Which memory belongs into the dump.
    pub plan: MemoryPlan,
    /// Its bytes. With all memory, the task stands still until this is dropped or [`finish`](Self::finish) is called.
    pub memory: CapturedMemory<'a>,
    /// How long the task stood still, if it runs again.
    pub stopped: Duration,
}

impl Captured<'_> {
    /// Whether `memory` is known to hold every byte of `plan`.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.memory.holds(&self.plan)
    }

    /// Lets the task go on. Returns how long it stood still.
    pub fn finish(self) -> Duration {
        self.memory.end().unwrap_or(self.stopped)
    }
}

/// Why nothing was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The task can neither be suspended nor tells of any thread: it has ended, or the port is not its control port.
    #[error("the task has ended or may not be captured: {0}")]
    NoTask(KernReturn),
}

/// Captures `task`: stops it, reads what belongs into a dump, and lets it go. What cannot be read is told in
/// [`Snapshot::soft_errors`].
///
/// With all memory (`MemoryMode::Full`), the task stands still for as long as the result lives. The calling process itself
/// (where [`MachTask::own_thread`] tells a thread) never does: its other threads are suspended only while nothing has to be
/// allocated, as they may hold the allocator's locks.
///
/// # Errors
/// When there is nothing to be captured.
pub fn capture<'a>(
    task: &'a dyn MachTask,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
) -> Result<Captured<'a>, CaptureError> {
    if task.own_thread().is_some() {
        return Ok(own_process::capture(task, options, crash));
    }
    let mut errors = Vec::new();
    let suspension = suspend(task, &mut errors);
    let (snapshot, planned) = take(task, None, options, crash, &mut errors);
    if snapshot.threads.is_empty()
        && let Err(error) = suspension
    {
        return Err(CaptureError::NoTask(error));
    }
    let mut stopped = Duration::ZERO;
    let suspension = suspension.ok();
    let memory = if options.memory.mode == MemoryMode::Full {
        CapturedMemory::live(planned.copied, task, suspension)
    } else {
        if let Some(suspension) = suspension {
            let (time, error) = suspension.end();
            (stopped, errors) = (time, errors.into_iter().chain(error).collect());
        }
        CapturedMemory::copied(planned.copied)
    };
    let snapshot = Snapshot { soft_errors: bounded(errors), ..snapshot };
    Ok(Captured { snapshot, plan: planned.plan, memory, stopped })
}

/// Suspends the task; again after a moment when dyld was just changing its list.
fn suspend<'a>(task: &'a dyn MachTask, errors: &mut Vec<SoftError>) -> Result<Suspension<'a>, KernReturn> {
    let mut tries = 0;
    loop {
        let suspension = Suspension::new(task).inspect_err(|error| {
            let message =
                format!("the task cannot be suspended: {error}; what was captured may not fit together");
            errors.push(SoftError::new(Stage::StopThread, message).os_error(Some(error.0)));
        })?;
        tries += 1;
        let infos = AllImageInfos::read(task, &TaskMemory::new(task));
        let changes = infos.is_ok_and(|infos| infos.array == 0);
        if tries == DYLD_TRIES || !changes {
            return Ok(suspension);
        }
        errors.extend(suspension.end().1);
        std::thread::sleep(DYLD_PAUSE);
    }
}

/// What was read of a task before.
pub struct Before {
    pub images: Images,
    pub regions: Vec<Region>,
}

/// Reads everything from a task that stands still, or from what was recorded of one.
pub fn take(
    task: &dyn MachTask,
    before: Option<Before>,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
    errors: &mut Vec<SoftError>,
) -> (Snapshot, Planned) {
    let memory = TaskMemory::new(task);
    let Before { images, mut regions } =
        before.unwrap_or_else(|| read_before(task, &memory, options, errors));
    name_files(&mut regions, &images);
    let arch = arch_of(task, &images);
    let platform = images.main_image().and_then(|image| image.platform);
    let platform = platform.or_else(|| images.infos.as_ref().and_then(|infos| infos.platform));
    let system = system::system(task, arch, platform, &options.program, errors);
    let mut snapshot = Snapshot::new(Process::default(), system);
    snapshot.captured_at_us = now_us();
    snapshot.regions = regions;
    snapshot.modules = modules(&images, errors);
    snapshot.apple = Some(apple_facts(task, arch, &images, &memory, options, errors));
    snapshot.process = process::process(task, images.main_image(), options, errors);
    let mut reader = ThreadReader { task, memory: &memory, arch, crash, unknown: 0 };
    threads(&mut reader, &mut snapshot, options, crash, errors);
    exception(&mut snapshot, arch, crash);
    let planned = plan_and_copy(&mut snapshot, &images, &memory, options, errors);
    (snapshot, planned)
}

/// Memory map and images.
pub fn read_before(
    task: &dyn MachTask,
    memory: &TaskMemory<'_>,
    options: &CaptureOptions,
    errors: &mut Vec<SoftError>,
) -> Before {
    let regions = regions::list(task, errors);
    let images = images(task, memory, &regions, options.executable.as_deref(), errors);
    Before { images, regions }
}

/// The architecture of the program, which is not always the machine's.
pub fn arch_of(task: &dyn MachTask, images: &Images) -> Arch {
    let main = images.main_image().and_then(|image| Arch::of_cpu_type(image.cpu_type));
    let any = || images.list.iter().find_map(|image| Arch::of_cpu_type(image.cpu_type));
    main.or_else(any).unwrap_or_else(|| Arch::of_machine(task))
}

/// Names the regions of files after the images that lie in them.
fn name_files(regions: &mut [Region], images: &Images) {
    for image in &images.list {
        for segment in &image.segments {
            let first = regions.partition_point(|region| region.end <= segment.address);
            let end = segment.address.saturating_add(segment.size);
            let inside = regions.get_mut(first..).unwrap_or_default().iter_mut();
            let inside = inside.take_while(|region| region.start < end);
            // A segment has a few regions; one of a hostile image may span all of them, whose names are taken then.
            for region in inside.filter(|region| region.kind == RegionKind::File).take(64) {
                if region.name.is_empty() {
                    region.name.clone_from(&image.path);
                }
            }
        }
    }
}

/// The modules, cut where the next one begins.
fn modules(images: &Images, errors: &mut Vec<SoftError>) -> Vec<minidump_snapshot::Module> {
    let is_main = |base: u64| images.main == Some(base);
    let mut modules: Vec<_> = images.list.iter().map(|image| image.module(is_main(image.base))).collect();
    let bases: Vec<u64> = modules.iter().map(|module| module.base).skip(1).collect();
    for (module, next) in modules.iter_mut().zip(bases) {
        let room = next.saturating_sub(module.base);
        if module.size > room {
            let name = String::from_utf8_lossy(&module.path);
            let message = format!("the image {name} reaches into the next one");
            errors.push(SoftError::new(Stage::Module, message).range(module.base, module.size));
            module.size = room;
        }
    }
    modules
}

fn apple_facts(
    task: &dyn MachTask,
    arch: Arch,
    images: &Images,
    memory: &TaskMemory<'_>,
    options: &CaptureOptions,
    errors: &mut Vec<SoftError>,
) -> AppleFacts {
    let infos = images.infos.as_ref();
    let main = images.main_image().filter(|image| Arch::of_cpu_type(image.cpu_type) == Some(arch));
    AppleFacts {
        cpu_type: arch.cpu_type(),
        cpu_subtype: main.map_or_else(|| machine_subtype(task, arch), |image| image.cpu_subtype),
        os_build: sysctl::text(task, "kern.osversion").unwrap_or_default(),
        address_bits: system::address_bits(task, errors),
        dyld_all_image_infos: infos.map(|infos| infos.address),
        dyld_version: infos.map(|infos| infos.version),
        dyld_error: infos.and_then(|infos| infos.error(memory)),
        shared_cache: infos.and_then(|infos| infos.shared_cache),
        images: images.list.iter().map(crate::image::Image::facts).collect(),
        crash_info: crash_infos(&images.list, memory, errors),
        boot_args: sysctl::text(task, "kern.bootargs").filter(|text| !text.is_empty()),
        bundle_version: options.bundle_version.clone(),
    }
}

/// `hw.cpusubtype`, where the machine's type is the program's.
fn machine_subtype(task: &dyn MachTask, arch: Arch) -> u32 {
    let told = sysctl::number(task, "hw.cpusubtype").filter(|_| Arch::of_machine(task) == arch);
    // CPU_SUBTYPE_X86_64_ALL and CPU_SUBTYPE_ARM64_ALL.
    let all = if arch == Arch::Amd64 { 3 } else { 0 };
    told.and_then(|value| u32::try_from(value).ok()).unwrap_or(all)
}

/// Reads all threads; the blamed one comes first.
fn threads(
    reader: &mut ThreadReader<'_>,
    snapshot: &mut Snapshot,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
    errors: &mut Vec<SoftError>,
) {
    let ports = list(reader.task, errors);
    let ports = ports.into_iter().filter(|port| options.handler_thread != Some(*port));
    let mut found: Vec<Found> = ports.filter_map(|port| reader.read(port, errors)).collect();
    if let Some(crash) = crash.filter(|_| found.iter().all(|found| !found.crashed)) {
        found.push(reader.recorded(crash, errors));
    }
    let mut seen = BTreeSet::new();
    for Found { thread, .. } in &mut found {
        // Ids are unique in 64 bits, but not always in the lower half of them.
        if !seen.insert(thread.id) {
            thread.id = reader.substitute_id();
        }
        let handle = thread.apple.as_ref().map(|apple| apple.handle).filter(|handle| *handle != 0);
        // That of the main thread lies in the data of a library, which tells nothing of its stack.
        let on_stack =
            |handle: &u64| snapshot.region_at(*handle).is_some_and(|region| region.kind == RegionKind::Stack);
        thread.thread_pointer = handle.filter(on_stack);
    }
    let crashed = found.iter().position(|found| found.crashed);
    let asked = options.blamed_thread.filter(|_| crashed.is_none());
    let is_asked = |found: &Found| found.thread.apple.as_ref().map(|apple| apple.id) == asked;
    let named = asked.and_then(|id| {
        let position = found.iter().position(is_asked);
        if position.is_none() {
            let message = format!("the task has no thread {id} (any more); another one is blamed");
            errors.push(SoftError::new(Stage::Target, message));
        }
        position
    });
    // The main thread is the oldest, so that its id is the lowest.
    let oldest = || {
        let known = found.iter().enumerate().filter_map(|(index, found)| {
            found.thread.apple.as_ref().map(|apple| apple.id).filter(|id| *id != 0).map(|id| (id, index))
        });
        known.min().map(|(_, index)| index)
    };
    let blamed = crashed.or(named).or_else(oldest).unwrap_or_default();
    snapshot.threads = found.into_iter().map(|found| found.thread).collect();
    if let Some(front) = snapshot.threads.get_mut(..=blamed) {
        front.rotate_right(1);
    }
    snapshot.blamed_thread = snapshot.threads.first().map(|thread| thread.id);
}

/// Decodes the exception, which is the first thread's.
fn exception(snapshot: &mut Snapshot, arch: Arch, crash: Option<&MachCrash>) {
    let Some(exception) = crash.and_then(|crash| crash.exception) else { return };
    let Some(thread) = snapshot.threads.first() else { return };
    let pc = thread.instruction_pointer();
    let decoded = decode(exception, arch, pc);
    snapshot.exception = Some(Exception {
        thread: thread.id,
        code: decoded.code,
        flags: decoded.flags,
        address: decoded.address,
        parameters: decoded.parameters,
    });
}

/// The errors, but of each stage only so many: a hostile list of images can make thousands.
pub fn bounded(errors: Vec<SoftError>) -> Vec<SoftError> {
    const MOST_OF_A_STAGE: usize = 100;
    let mut counts: Vec<(Stage, usize)> = Vec::new();
    let mut kept = Vec::with_capacity(errors.len().min(1024));
    for error in errors {
        let index = counts.iter().position(|(stage, _)| *stage == error.stage).unwrap_or(counts.len());
        if index == counts.len() {
            counts.push((error.stage, 0));
        }
        let Some((_, count)) = counts.get_mut(index) else { continue };
        *count = count.saturating_add(1);
        if *count <= MOST_OF_A_STAGE {
            kept.push(error);
        }
    }
    let left_out = counts.into_iter().filter(|(_, count)| *count > MOST_OF_A_STAGE);
    kept.extend(left_out.map(|(stage, count)| {
        SoftError::new(stage, format!("{} more errors of this kind were left out", count - MOST_OF_A_STAGE))
    }));
    kept
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
