//! The calling process captures itself.
//!
//! A thread that is suspended may hold a lock of the allocator. So between the first suspension and the last resumption nothing
//! is allocated: what the kernel tells of threads and regions, and the stacks, goes into room that was made before. All the
//! rest is read and decoded from this record when the threads run again.

mod record;
mod recorded;
mod window;

use crate::bounded::bounded;
use crate::dyld::images;
use crate::memory::TaskMemory;
use crate::source::CapturedMemory;
use crate::take::{Before, arch_of, take};
use crate::{CaptureOptions, Captured, MachCrash, MachTask, regions};
use minidump_snapshot::{MemoryMode, Snapshot, SoftError, Stage};
use record::Record;
use recorded::Recorded;

/// Captures the process of the calling thread.
pub fn capture<'a>(
    task: &'a dyn MachTask,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
) -> Captured<'a> {
    let mut errors = Vec::new();
    let memory = TaskMemory::new(task);
    let before = regions::list(task, &mut errors);
    let images = images(task, &memory, &before, options.executable.as_deref(), &mut errors);
    let arch = arch_of(task, &images);
    let mut record = Record::new(task, arch, &before, options, crash);
    let stopped = window::run(task, &memory, &mut record, options);
    let mut more = Vec::new();
    let regions = record.take_regions();
    regions::report(record.regions_end, &mut more);
    if regions.len() == before.len() {
        // The same was said of the list that was made before.
        more.retain(|error| errors.iter().all(|other: &SoftError| other.message != error.message));
    }
    errors.extend(more);
    let before = Before { images: Some(images), regions: Some(regions) };
    let recorded = Recorded::new(task, &record);
    let (snapshot, planned) = take(&recorded, before, options, crash, &mut errors);
    errors.extend(record.failures());
    let memory = if options.memory.mode == MemoryMode::Full {
        let message = "the process ran on while its memory was read: only the stacks are of the instant of the registers";
        errors.push(SoftError::new(Stage::Memory, message));
        CapturedMemory::live(planned.copied, task, None)
    } else {
        CapturedMemory::copied(planned.copied)
    };
    let snapshot = Snapshot { soft_errors: bounded(errors), ..snapshot };
    Captured { snapshot, plan: planned.plan, memory, stopped }
}
