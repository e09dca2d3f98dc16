//! Memory that is there before anything stops.

use crate::sys::{Range, xstate_size};

/// Size of NT_PRSTATUS: 27 words (`struct user_regs_struct`, `<sys/user.h>`).
pub const GENERAL: usize = 27 * 8;
/// Words of it: the stack pointer and the base of FS, which is the thread pointer.
const STACK_POINTER: usize = 19;
const THREAD_POINTER: usize = 21;
/// Room for one stack. Those of the bench's targets take less.
const STACK: usize = 24 << 10;
/// Threads that may appear between the first look and the stop.
const SPARE_THREADS: usize = 16;

/// Everything that is filled while the target stands still.
pub struct Buffers {
    pub folder: Vec<u8>,
    pub text: Vec<u8>,
    pub ranges: Vec<Range>,
    pub registers: Registers,
    pub remote: Vec<libc::iovec>,
    pub stacks: Vec<u8>,
}

/// Registers of all threads, one slot behind the other.
pub struct Registers {
    slots: Vec<u8>,
    xstate: usize,
}

impl Buffers {
    /// For about so many threads.
    pub fn new(threads: usize) -> Self {
        let threads = threads + SPARE_THREADS;
        let xstate = xstate_size();
        Self {
            folder: touched(64 << 10),
            text: touched(64 << 10),
            ranges: emptied(vec![(1, 1); 8 * threads + (16 << 10)]),
            registers: Registers { slots: touched(threads * (GENERAL + xstate)), xstate },
            remote: Vec::with_capacity(threads),
            stacks: touched(threads * STACK + (256 << 10)),
        }
    }
}

impl Registers {
    /// Room for the general and the extended registers of each thread.
    pub fn slots(&mut self) -> impl Iterator<Item = (&mut [u8], &mut [u8])> {
        self.slots.chunks_exact_mut(GENERAL + self.xstate).map(|slot| slot.split_at_mut(GENERAL))
    }

    /// Stack pointer and thread pointer of each thread.
    pub fn pointers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.slots
            .chunks_exact(GENERAL + self.xstate)
            .map(|slot| (word(slot, STACK_POINTER), word(slot, THREAD_POINTER)))
    }
}

fn word(slot: &[u8], index: usize) -> usize {
    let bytes = slot.get(index * 8..index * 8 + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, usize::from_ne_bytes)
}

/// Not zeros: the kernel gives those out without any memory behind them.
fn touched(size: usize) -> Vec<u8> {
    vec![1; size]
}

fn emptied<T>(mut items: Vec<T>) -> Vec<T> {
    items.clear();
    items
}
