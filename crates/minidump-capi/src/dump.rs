//! Dumps of processes that run on.
#![expect(unsafe_code, reason = "functions of the C interface")]

use crate::arguments;
use crate::dump_options::{DumpOptions, DumpReport};
use crate::entry::enter;
use crate::failure::Failure;
use minidump_writer::output::DumpFile;
use minidump_writer::{dump_process, dump_self};
use std::ffi::{c_char, c_int};
use std::path::Path;
use std::ptr;

/// Dumps process `pid`, which goes on, to the file `path`. See the header.
///
/// # Safety
/// `path` must be null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_dump_process(pid: i32, path: *const c_char) -> c_int {
    // SAFETY: the caller's promise; there are no options.
    unsafe { mdw_dump_process_with(pid, path, ptr::null(), ptr::null_mut()) }
}

/// As [`mdw_dump_process`], with choices and an account. See the header.
///
/// # Safety
/// `path` must be null or a string; `options` and `report` must be null or as long as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mdw_dump_process_with(
    pid: i32,
    path: *const c_char,
    options: *const DumpOptions,
    report: *mut DumpReport,
) -> c_int {
    // SAFETY: the caller's promises.
    enter(|| unsafe {
        let path = arguments::path("path", path)?;
        let options = if options.is_null() {
            minidump_writer::DumpOptions::default()
        } else {
            arguments::structure(options)?.wanted()?
        };
        if !report.is_null() {
            // Whether it can be filled is known before there is a dump.
            arguments::size(report.cast_const())?;
        }
        let told = dump(pid, path, &options)?;
        if report.is_null() { Ok(()) } else { arguments::fill(report, told) }
    })
}

fn dump(pid: i32, path: &Path, options: &minidump_writer::DumpOptions) -> Result<DumpReport, Failure> {
    let mut file = DumpFile::create(path)?;
    let is_own = u32::try_from(pid).is_ok_and(|pid| pid == std::process::id());
    let report = if is_own { dump_self(options, &mut file)? } else { dump_process(pid, options, &mut file)? };
    file.commit()?;
    Ok(DumpReport::from(&report))
}
