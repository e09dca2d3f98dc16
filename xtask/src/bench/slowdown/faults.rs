//! Page faults that a program handles itself, as garbage collectors do to learn of writes.
#![expect(
    unsafe_code,
    reason = "signal handlers and the protection of memory are only reachable through libc"
)]

use crate::shell::{Doing, Outcome};
use std::{
    io, mem, ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

const PAGE: usize = 4096;

static GUARDED: AtomicPtr<libc::c_void> = AtomicPtr::new(ptr::null_mut());

extern "C" fn allow(_: libc::c_int) {
    // SAFETY: an async-signal-safe call, on a page that belongs to this file.
    unsafe { libc::mprotect(GUARDED.load(Ordering::Relaxed), PAGE, libc::PROT_READ | libc::PROT_WRITE) };
}

/// Writes so often to a page that may not be written until the handler has allowed it.
pub fn handle(count: usize) -> Outcome {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping at a place the kernel chooses touches nothing that exists.
    let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error()).doing("could not map a page");
    }
    GUARDED.store(page, Ordering::Relaxed);
    // SAFETY: all zeros is a valid sigaction.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = allow as *const () as usize;
    // SAFETY: the action is live, and its handler async-signal-safe.
    unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) };
    for _ in 0..count {
        // SAFETY: the page belongs to this function alone; the handler makes it writable, and the write is done again.
        unsafe {
            libc::mprotect(page, PAGE, libc::PROT_READ);
            ptr::write_volatile(page.cast::<u8>(), 1);
        }
    }
    Ok(())
}
