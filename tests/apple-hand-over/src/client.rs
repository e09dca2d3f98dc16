//! The process that hands itself over.

use crate::outcome::{DONE, OTHER, failed, tell};
use crate::{connection, text};
use minidump_handler::mach::{Account, Client, Protection, hand_over};
use std::ffi::c_char;
use std::process::Command;
use std::time::Duration;

/// The account that was encoded to `size` bytes at `bytes`.
///
/// # Safety
/// They are there.
unsafe fn account(bytes: *const u8, size: usize) -> Account {
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, size) };
    Account::decode(bytes).unwrap_or_else(|_| Account::new(0))
}

/// `hand_over`. The client is written to `client`.
///
/// # Safety
/// The pointers are to what their types say, and the descriptor is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_hand_over(
    descriptor: i32,
    bytes: *const u8,
    size: usize,
    exceptions: bool,
    patience_ms: u64,
    client: *mut *mut Client,
) -> i32 {
    // SAFETY: the caller's promise.
    let (mut pipe, account) = unsafe { (connection(descriptor), account(bytes, size)) };
    match hand_over(&mut *pipe, &account, exceptions, Duration::from_millis(patience_ms)) {
        Ok(made) => {
            // SAFETY: the caller's promise.
            unsafe { *client = Box::into_raw(Box::new(made)) };
            DONE
        }
        Err(error) => failed(&error),
    }
}

/// Gives back what `test_hand_over` made.
///
/// # Safety
/// It made it, and it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_end_client(client: *mut Client) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(client) });
}

/// `Protection::start` with the program `handler`. The protection is written to `protection`.
///
/// # Safety
/// The pointers are to what their types say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_protect(
    handler: *const c_char,
    bytes: *const u8,
    size: usize,
    protection: *mut *mut Protection,
) -> i32 {
    // SAFETY: the caller's promise.
    let (handler, account) = unsafe { (text(handler), account(bytes, size)) };
    match Protection::start(Command::new(handler), &account) {
        Ok(made) => {
            // SAFETY: the caller's promise.
            unsafe { *protection = Box::into_raw(Box::new(made)) };
            DONE
        }
        Err(error) => failed(&error),
    }
}

/// `Protection::dump`. The path is the sentence.
///
/// # Safety
/// `test_protect` made the protection; the pointers are to what their types say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_dump(protection: *mut Protection, bytes: *const u8, size: usize) -> i32 {
    // SAFETY: the caller's promise.
    let (protection, account) = unsafe { (&mut *protection, account(bytes, size)) };
    match protection.dump(&account) {
        Ok(path) => {
            tell(path.display().to_string());
            DONE
        }
        Err(error) => {
            tell(error.to_string());
            OTHER
        }
    }
}

/// Gives back what `test_protect` made.
///
/// # Safety
/// It made it, and it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn test_end_protection(protection: *mut Protection) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(protection) });
}
