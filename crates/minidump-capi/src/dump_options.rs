//! What C asks of a dump, and what it is told of it.
#![expect(unsafe_code, reason = "structures of C")]

use crate::arguments::{self, Annotation, Versioned};
use crate::failure::Failure;
use minidump_writer::snapshot::MemoryMode;
use minidump_writer::{DumpReport as Report, Format};
use std::mem::offset_of;
use std::time::Duration;

/// `mdw_dump_options`. Zero stands for the default in each field.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct DumpOptions {
    /// Bytes of this structure, as the caller knows it.
    pub size: usize,
    /// The thread to put first.
    pub thread: u32,
    /// 0 minidump, 1 ELF core.
    pub format: u32,
    /// 0 stacks, 1 what they point at, too, 2 everything.
    pub memory: u32,
    /// Bits: 1 sanitise stacks, 2 copy-on-write, 4 keep the environment.
    pub flags: u32,
    /// Longest stop for the threads, in milliseconds.
    pub deadline_ms: u32,
    /// Longest stop for all memory, in milliseconds.
    pub hold_limit_ms: u32,
    /// Most memory, in bytes.
    pub memory_budget: u64,
    /// What to say in the dump.
    pub annotations: *const Annotation,
    /// How many there are.
    pub annotation_count: usize,
}

// SAFETY: numbers and pointers, the first of which is a usize.
unsafe impl Versioned for DumpOptions {
    const NAME: &'static str = "mdw_dump_options";
    const FIRST: usize = offset_of!(Self, annotation_count) + size_of::<usize>();
}

/// `mdw_dump_report`: what a dump came to.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct DumpReport {
    /// Bytes of this structure, as the caller knows it.
    pub size: usize,
    /// Bytes of the dump.
    pub bytes: u64,
    /// How long the process stood still, in microseconds.
    pub stopped_us: u64,
    /// How long the whole took, in microseconds.
    pub wall_us: u64,
    /// Threads in the dump.
    pub threads: u32,
    /// Modules in the dump.
    pub modules: u32,
    /// How many things could not be captured; the dump tells which.
    pub soft_errors: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: numbers, the first of which is a usize.
unsafe impl Versioned for DumpReport {
    const NAME: &'static str = "mdw_dump_report";
    const FIRST: usize = offset_of!(Self, reserved) + size_of::<u32>();
}

const SANITIZE: u32 = 1;
const COPY_ON_WRITE: u32 = 2;
const KEEP_ENVIRON: u32 = 4;

impl DumpOptions {
    /// As the writer wants them.
    ///
    /// # Safety
    /// `annotations` must be null or so many as their count says.
    pub(crate) unsafe fn wanted(&self) -> Result<minidump_writer::DumpOptions, Failure> {
        if self.flags & !(SANITIZE | COPY_ON_WRITE | KEEP_ENVIRON) != 0 {
            return Err(Failure::Newer("flags of mdw_dump_options"));
        }
        let mut options = minidump_writer::DumpOptions::default();
        options.blamed_thread = Some(self.thread).filter(|thread| *thread != 0);
        options.format = match self.format {
            0 => Format::Minidump,
            1 => Format::ElfCore,
            2 if cfg!(target_os = "macos") => Format::MachOCore,
            2 => return Err(Failure::Argument("format", "MDW_FORMAT_MACHO_CORE is for processes of macOS")),
            _ => return Err(Failure::Argument("format", "it is none of MDW_FORMAT_*")),
        };
        options.memory.mode = match self.memory {
            0 => MemoryMode::Stacks,
            1 => MemoryMode::Indirect,
            2 => MemoryMode::Full,
            _ => return Err(Failure::Argument("memory", "it is none of MDW_MEMORY_*")),
        };
        options.sanitize = self.flags & SANITIZE != 0;
        options.copy_on_write = self.flags & COPY_ON_WRITE != 0;
        options.keep_environ = self.flags & KEEP_ENVIRON != 0;
        if self.deadline_ms != 0 {
            options.deadline = Duration::from_millis(self.deadline_ms.into());
        }
        if self.hold_limit_ms != 0 {
            options.hold_limit = Duration::from_millis(self.hold_limit_ms.into());
        }
        if self.memory_budget != 0 {
            options.memory.budget = self.memory_budget;
        }
        // SAFETY: the caller's promise.
        options.annotations = unsafe { arguments::annotations(self.annotations, self.annotation_count) }?;
        Ok(options)
    }
}

impl From<&Report> for DumpReport {
    fn from(report: &Report) -> Self {
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            size: size_of::<Self>(),
            bytes: report.bytes,
            stopped_us: microseconds(report.stopped),
            wall_us: microseconds(report.wall),
            threads: count(report.threads),
            modules: count(report.modules),
            soft_errors: count(report.soft_errors.len()),
            reserved: 0,
        }
    }
}
