//! Handles: numbers in the shape of pointers, which are compared and never followed.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What `mdw_client` and `mdw_heartbeat` point at: nothing.
#[derive(Debug)]
#[repr(C)]
pub struct Handle {
    _nothing: [u8; 0],
}

/// One more number that has not been given away before. 2^60 of them are enough for ever.
pub fn new() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    // Aligned as pointers are, for languages that look.
    NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(16)
}

/// The number as C sees it.
pub fn to_pointer(number: usize) -> *mut Handle {
    ptr::without_provenance_mut(number)
}

/// The number that C gives back.
pub fn from_pointer(pointer: *const Handle) -> usize {
    pointer.addr()
}
