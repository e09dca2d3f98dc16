//! A function of C that looks at each signal first.
#![expect(unsafe_code, reason = "calls a function of C")]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// `mdw_first_chance`: the arguments of a signal handler; not 0 when it has dealt with the signal.
pub type FirstChance = unsafe extern "C" fn(c_int, *const c_void, *const c_void) -> c_int;

/// The function; null without one. The client's own takes no argument that could hold it.
static FUNCTION: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Has `function` called by [`ask`].
pub fn set(function: Option<FirstChance>) {
    let function = function.map_or(ptr::null_mut(), |function| function as *mut c_void);
    FUNCTION.store(function, Ordering::Release);
}

/// Asks the function. It runs in a signal handler.
pub fn ask<I, C>(signal: c_int, info: *const I, context: *const C) -> bool {
    let function = FUNCTION.load(Ordering::Acquire);
    if function.is_null() {
        return false;
    }
    // SAFETY: only `set` stores there, and only functions of this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, FirstChance>(function) };
    // SAFETY: what the kernel gave to the handler of this signal, which is what the function was promised.
    unsafe { function(signal, info.cast(), context.cast()) != 0 }
}
