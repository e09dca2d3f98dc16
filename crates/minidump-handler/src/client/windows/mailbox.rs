//! The memory in which the handler finds the account of a crash.
#![expect(unsafe_code, reason = "memory that another process reads")]

use crate::protocol::MOST_BYTES;
use crate::protocol::windows::{CHALLENGE, LENGTH_AT, MAILBOX_SIZE, MESSAGE_AT};
use std::cell::UnsafeCell;
use std::ptr;

/// The mailbox of this process. It is not on the heap, which may be what is broken.
pub static MAILBOX: Mailbox = Mailbox(UnsafeCell::new([0; MAILBOX_SIZE]));

/// A challenge, the length of a message, and the message.
pub struct Mailbox(UnsafeCell<[u8; MAILBOX_SIZE]>);

// SAFETY: challenge and message do not overlap. The one is written by the thread that looks after the handler alone, the
// other by the one thread whose turn it is to report a crash.
unsafe impl Sync for Mailbox {}

impl Mailbox {
    /// Where it is.
    pub fn address(&self) -> u64 {
        u64::try_from(self.0.get().addr()).unwrap_or(0)
    }

    /// Puts the handler's challenge in.
    pub fn answer(&self, challenge: [u8; CHALLENGE]) {
        // SAFETY: its place in the mailbox. Nobody else of this process reads or writes it.
        unsafe { ptr::write_volatile(self.0.get().cast::<[u8; CHALLENGE]>(), challenge) };
    }

    /// Has `write` put a message in, whose length it returns.
    ///
    /// # Safety
    /// One thread at a time.
    pub unsafe fn put(&self, write: impl FnOnce(&mut [u8]) -> usize) {
        // SAFETY: the caller is alone, the part is the message's, and within the mailbox.
        unsafe {
            let start = self.0.get().cast::<u8>();
            let length = write(std::slice::from_raw_parts_mut(start.add(MESSAGE_AT), MOST_BYTES));
            let told = u32::try_from(length).unwrap_or(0).to_le_bytes();
            ptr::copy_nonoverlapping(told.as_ptr(), start.add(LENGTH_AT), told.len());
        }
    }
}
