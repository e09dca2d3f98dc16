//! Room on each thread's stack for the handling of its overflow.
//!
//! Without it, the system has a page or two left for the hooks when a stack has overflowed, and ends the program without a
//! word where that is too little. The room can be asked for by the thread itself alone: new threads do so before
//! anything else, by a callback that the loader finds in the program (the PE format's TLS directory).
#![expect(unsafe_code, reason = "a callback of the loader")]

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use windows_sys::Win32::System::Threading::SetThreadStackGuarantee;

/// Bytes that are asked for, and how many where a stack is too small for these.
const ROOM: u32 = 64 << 10;
const LESS_ROOM: u32 = 16 << 10;
/// DLL_THREAD_ATTACH.
const THREAD_ATTACH: u32 = 2;

/// Whether new threads ask for room.
static IS_WANTED: AtomicBool = AtomicBool::new(false);

/// The loader calls what is between `.CRT$XLA` and `.CRT$XLZ` in each new thread, before its own code.
#[used]
#[unsafe(link_section = ".CRT$XLY")]
static ON_THREAD: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) = on_thread;

unsafe extern "system" fn on_thread(_: *mut c_void, reason: u32, _: *mut c_void) {
    if reason == THREAD_ATTACH && IS_WANTED.load(Ordering::Relaxed) {
        reserve();
    }
}

/// From now on new threads have room.
pub fn begin() {
    // The reference keeps the callback in the program.
    std::hint::black_box(&raw const ON_THREAD);
    IS_WANTED.store(true, Ordering::Relaxed);
}

/// New threads have what the system gives them.
pub fn end() {
    IS_WANTED.store(false, Ordering::Relaxed);
}

/// Asks for room on the stack of the calling thread. Whether there is some now.
pub fn reserve() -> bool {
    [ROOM, LESS_ROOM].into_iter().any(|room| {
        let mut bytes = room;
        // SAFETY: a number is read there and written. What is less than the room that there is already changes nothing.
        unsafe { SetThreadStackGuarantee(&raw mut bytes) != 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> u32 {
        let mut bytes = 0;
        // SAFETY: as above; zero asks what there is.
        unsafe { SetThreadStackGuarantee(&raw mut bytes) };
        bytes
    }

    #[test]
    fn new_threads_have_room_once_that_is_wanted() {
        begin();
        let seen = std::thread::spawn(room).join().unwrap();
        end();
        assert!(seen >= ROOM, "{seen}");
        assert!(reserve());
        assert!(room() >= ROOM);
    }
}
