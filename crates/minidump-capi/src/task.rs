//! Dumps of tasks whose port is held: macOS only.
#![expect(unsafe_code, reason = "functions of the C interface")]

use crate::arguments;
use crate::dump_options::{DumpOptions, DumpReport};
use crate::entry::enter;
use crate::failure::Failure;
use minidump_writer::mach::{CrashedThread, MachCrash, RawState};
use minidump_writer::{Error, Format, TaskDetails, dump_task};
use std::ffi::c_int;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd as _;
use std::ptr;

/// Words of the general registers and of the vector registers in [`Context`], and their flavors.
#[cfg(target_arch = "aarch64")]
mod state {
    pub const GENERAL: usize = 68;
    pub const VECTOR: usize = 132;
    pub const GENERAL_FLAVOR: u32 = 6;
    pub const EXCEPTION_FLAVOR: u32 = 7;
    pub const VECTOR_FLAVOR: u32 = 17;
}
#[cfg(target_arch = "x86_64")]
mod state {
    pub const GENERAL: usize = 42;
    pub const VECTOR: usize = 131;
    pub const GENERAL_FLAVOR: u32 = 4;
    pub const EXCEPTION_FLAVOR: u32 = 6;
    pub const VECTOR_FLAVOR: u32 = 5;
}

/// `struct __darwin_mcontext64` (sys/_types/_mcontext.h), whose parts are the states of `thread_get_state`.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(target_arch = "aarch64", repr(C, align(16)))]
#[cfg_attr(target_arch = "x86_64", repr(C, align(8)))]
pub struct Context {
    exception: [u32; 4],
    general: [u32; state::GENERAL],
    vector: [u32; state::VECTOR],
}

/// `struct MMDCrashContext`: what a handler of signals knows of a crash.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct CrashContext {
    context: Context,
    thread_id: u64,
}

/// Writes a core file of `task` to the descriptor `fd`. See the header.
///
/// # Safety
/// `context` must be null or a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn MiniDumpWriteDump(task: u32, fd: c_int, context: *const CrashContext) -> c_int {
    // SAFETY: the caller's promise.
    enter(|| unsafe {
        let mut options = minidump_writer::DumpOptions::default();
        options.format = Format::MachOCore;
        write(task, fd, context, &options).map(drop)
    })
}

/// As [`MiniDumpWriteDump`], with choices and an account. See the header.
///
/// # Safety
/// `context` must be null or a context; `options` and `report` must be null or as long as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_dump_task(
    task: u32,
    fd: c_int,
    context: *const CrashContext,
    options: *const DumpOptions,
    report: *mut DumpReport,
) -> c_int {
    // SAFETY: the caller's promises.
    enter(|| unsafe {
        let options = if options.is_null() {
            minidump_writer::DumpOptions::default()
        } else {
            arguments::structure(options)?.wanted()?
        };
        if !report.is_null() {
            // Whether it can be filled is known before there is a dump.
            arguments::size(report.cast_const())?;
        }
        let told = write(task, fd, context, &options)?;
        if report.is_null() { Ok(()) } else { arguments::fill(report, told) }
    })
}

/// # Safety
/// `context` must be null or a context.
unsafe fn write(
    task: u32,
    fd: c_int,
    context: *const CrashContext,
    options: &minidump_writer::DumpOptions,
) -> Result<DumpReport, Failure> {
    if task == 0 {
        return Err(Failure::Argument("task", "it is no port"));
    }
    if fd < 0 {
        return Err(Failure::Argument("fd", "it is no descriptor"));
    }
    let mut details = TaskDetails::default();
    // A context need not be aligned as its vector registers are: programs allocate it as bytes.
    // SAFETY: the caller promises that it is one, if it is not null.
    details.crash = (!context.is_null()).then(|| crash(&unsafe { ptr::read_unaligned(context) }));
    // SAFETY: the caller lends the descriptor: it is not closed here.
    let file = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    let mut output = BufWriter::new(&*file);
    let report = dump_task(task, &details, options, &mut output)?;
    output.flush().map_err(|source| Error::Output { source })?;
    Ok(DumpReport::from(&report))
}

fn crash(context: &CrashContext) -> MachCrash {
    let Context { exception, general, vector } = &context.context;
    let states = [
        (state::GENERAL_FLAVOR, general.as_slice()),
        (state::EXCEPTION_FLAVOR, exception.as_slice()),
        (state::VECTOR_FLAVOR, vector.as_slice()),
    ];
    MachCrash {
        thread: CrashedThread::Id(context.thread_id),
        exception: None,
        states: states.map(|(flavor, words)| RawState { flavor, words: words.to_vec() }).into(),
    }
}
