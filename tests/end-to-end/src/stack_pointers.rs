//! What a thread without much memory has to keep.

use crate::Dump;

/// Least that is kept from the stack pointer on: the word there is the return address of a function without frame.
const LEAST: usize = 64;

/// Fails unless every thread has registers, and memory at its stack pointer, which its stack holds.
#[track_caller]
pub fn assert_every_stack_pointer(dump: &Dump) {
    let threads = dump.thread_ids();
    assert!(threads.len() > 100);
    for tid in threads {
        let pointers = dump.instruction_and_stack_pointer(tid);
        let (_, top) = pointers.unwrap_or_else(|| panic!("thread {tid} has no registers"));
        assert!(dump.memory(top, LEAST).is_some(), "{LEAST} bytes at SP of thread {tid} are there");
        let (start, size) = dump.stack_range(tid);
        assert!((start..start + size).contains(&top), "the stack of thread {tid} holds SP");
    }
}
