//! Exceptions that the program deals with: no crashes, until one is.

use super::{Kind, faults, here};
use crate::sys::{self, NOWHERE};
use std::sync::atomic::{AtomicU32, Ordering};
use windows_sys::Win32::Foundation::EXCEPTION_ACCESS_VIOLATION;
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS,
    RaiseException, RemoveVectoredExceptionHandler,
};

/// The code that the handler below knows.
const KNOWN: u32 = 0xe000_0bad;
/// How often it was called.
static CALLS: AtomicU32 = AtomicU32::new(0);

pub const KINDS: &[Kind] = &[("handled", handled), ("handled-then-null", crash_here_handled_then_null)];

/// Raises three exceptions, to which a vectored handler says that all is well.
fn handle_three() {
    // SAFETY: the handler is a function of this program and has the type that is asked for.
    let handler = unsafe { AddVectoredExceptionHandler(1, Some(all_is_well)) };
    assert!(!handler.is_null(), "AddVectoredExceptionHandler");
    for _ in 0..3 {
        // SAFETY: no parameters.
        unsafe { RaiseException(KNOWN, 0, 0, std::ptr::null()) };
    }
    assert_eq!(CALLS.load(Ordering::Acquire), 3, "the handler is called");
    // SAFETY: the handle is that of the handler.
    unsafe { RemoveVectoredExceptionHandler(handler) };
}

unsafe extern "system" fn all_is_well(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes pointers to the exception, which live through the call.
    let code = unsafe { (*(*pointers).ExceptionRecord).ExceptionCode };
    if code.cast_unsigned() == KNOWN {
        CALLS.fetch_add(1, Ordering::AcqRel);
        EXCEPTION_CONTINUE_EXECUTION
    } else {
        EXCEPTION_CONTINUE_SEARCH
    }
}

/// Ends well.
fn handled() {
    handle_three();
    sys::exit_now(0);
}

/// Does not.
#[inline(never)]
fn crash_here_handled_then_null() {
    handle_three();
    here(EXCEPTION_ACCESS_VIOLATION.cast_unsigned()).numbers("parameters", [0, NOWHERE as u64]).print();
    faults::read(NOWHERE);
}
