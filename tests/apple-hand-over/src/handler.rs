//! The handler.

use crate::outcome::{DONE, OTHER, failed, tell};
use crate::{connection, text};
use minidump_handler::mach::{Received, receive, serve};
use minidump_handler::store::{Limits, Store};
use minidump_writer::DumpOptions;
use std::ffi::c_char;
use std::time::Duration;

/// `receive`. What came is written to `received`.
///
/// # Safety
/// The pointers are to what their types say, and the descriptor is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_receive(
    descriptor: i32,
    expected: i32,
    prefix: *const c_char,
    patience_ms: u64,
    received: *mut *mut Received,
) -> i32 {
    // SAFETY: the caller's promise.
    let (mut pipe, prefix) = unsafe { (connection(descriptor), text(prefix)) };
    match receive(&mut *pipe, expected, prefix, Duration::from_millis(patience_ms)) {
        Ok(came) => {
            // SAFETY: the caller's promise.
            unsafe { *received = Box::into_raw(Box::new(came)) };
            DONE
        }
        Err(error) => failed(&error),
    }
}

/// Gives back what `test_receive` made.
///
/// # Safety
/// It made it, and it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_end_received(received: *mut Received) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(received) });
}

/// `serve` with a store in `directory`. The sentence has a line for each dump.
///
/// # Safety
/// The pointers are to what their types say, and the descriptor is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_serve(descriptor: i32, process: i32, directory: *const c_char) -> i32 {
    // SAFETY: the caller's promise.
    let (mut pipe, directory) = unsafe { (connection(descriptor), text(directory)) };
    let store = match Store::open(directory, Limits::default()) {
        Ok(store) => store,
        Err(error) => {
            tell(error.to_string());
            return OTHER;
        }
    };
    let mut dumps = Vec::new();
    let served = serve(&mut *pipe, process, "", &DumpOptions::default(), &store, |dumped| {
        dumps.push(match dumped {
            Ok(path) => path.display().to_string(),
            Err(error) => format!("! {error}"),
        });
    });
    match served {
        Ok(()) => {
            tell(dumps.join("\n"));
            DONE
        }
        Err(error) => failed(&error),
    }
}
