//! What a signal handler finds prepared.
#![expect(unsafe_code, reason = "memory that is shared with signal handlers")]

use super::fallback::Fallback;
use super::held::Held;
use super::message::About;
use super::signals::Previous;
use super::{FirstChance, sys};
use crate::protocol::MOST_BYTES;
use libc::{c_int, pid_t};
use minidump_record::Annotations;
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

/// What the program says of itself, whoever sets it.
pub static ANNOTATIONS: Annotations = Annotations::new();

/// The state of the client that is installed, away from the heap; it is never freed, for a signal handler may have it at any
/// time.
static CURRENT: AtomicPtr<State> = AtomicPtr::new(std::ptr::null_mut());

/// Bytes of the stack on which a crash is reported.
const STACK: usize = 128 << 10;

/// Memory for one at a time.
pub struct Scratch<const SIZE: usize> {
    bytes: UnsafeCell<[u8; SIZE]>,
    is_taken: AtomicBool,
}

// SAFETY: the bytes are given to one thread at a time, which `is_taken` sees to.
unsafe impl<const SIZE: usize> Sync for Scratch<SIZE> {}

impl<const SIZE: usize> std::fmt::Debug for Scratch<SIZE> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl<const SIZE: usize> Scratch<SIZE> {
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; SIZE]), is_taken: AtomicBool::new(false) }
    }

    /// The memory, until it is given back; `None` while somebody has it.
    #[expect(clippy::mut_from_ref, reason = "whoever sets the flag is alone")]
    pub fn take(&self) -> Option<&mut [u8]> {
        if self.is_taken.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the flag was not set, and now is ours.
        Some(unsafe { &mut *self.bytes.get() })
    }

    /// Gives the memory back, of which no reference may be used after that.
    pub fn give(&self) {
        self.is_taken.store(false, Ordering::Release);
    }
}

/// The request of a crash, its answer, the metadata of a dump without a handler, and a stack to work on.
pub static REQUEST: Scratch<MOST_BYTES> = Scratch::new();
pub static ANSWER: Scratch<{ 20 << 10 }> = Scratch::new();
pub static METADATA: Scratch<{ super::fallback::MOST_METADATA }> = Scratch::new();
pub static CRASH_STACK: Scratch<STACK> = Scratch::new();

/// Who answers, and by which connection.
#[derive(Debug)]
pub struct Channel {
    /// The connection to the handler.
    pub control: Held,
    /// The handler's end of it, kept so that another handler can go on where one died; none when it is not ours to keep.
    pub theirs: Held,
    /// A connection for the answer, made ahead for the process `owner`.
    pub reply: [Held; 2],
    pub owner: AtomicI32,
    /// The handler, by its number here; 0 when not known.
    pub handler: AtomicI32,
}

impl Channel {
    pub fn new(control: c_int, theirs: c_int) -> Self {
        let reply = sys::pair().unwrap_or([-1, -1]);
        Self {
            control: Held::new(control),
            theirs: Held::new(theirs),
            reply: reply.map(Held::new),
            owner: AtomicI32::new(sys::process_id()),
            handler: AtomicI32::new(0),
        }
    }

    /// A connection for one answer: the one that was made ahead, if it is this process's, else a new one.
    pub fn take_reply(&self, pid: pid_t) -> Option<[c_int; 2]> {
        let ahead = [&self.reply[0], &self.reply[1]];
        if self.owner.load(Ordering::Acquire) == pid {
            let pair = ahead.map(Held::take);
            if pair.iter().all(|end| *end >= 0) {
                return Some(pair);
            }
            return sys::pair();
        }
        // A child that shares nothing but this memory, or has copied it. Where it has no descriptors left, those two are
        // of no other use to it; the numbers stay with the parent.
        sys::pair().or_else(|| {
            for end in ahead.map(Held::get).into_iter().filter(|end| *end >= 0) {
                sys::close(end);
            }
            sys::pair()
        })
    }

    /// Makes the connection for the next answer.
    pub fn refill(&self) {
        if let Some(pair) = sys::pair() {
            for (place, end) in self.reply.iter().zip(pair) {
                place.put(end);
            }
            self.owner.store(sys::process_id(), Ordering::Release);
        }
    }
}

/// All that a crash needs.
#[derive(Debug)]
pub struct State {
    pub channel: Channel,
    pub fallback: Option<Fallback>,
    pub previous: Previous,
    pub about: About,
    /// How long the handler may take to say that it has read a request, in milliseconds.
    pub patience_ms: u64,
    pub first_chance: Option<FirstChance>,
    /// Whether Yama decides who may trace (`/proc/sys/kernel/yama/ptrace_scope` is 1).
    pub ask_yama: bool,
}

/// The state of the client that is installed.
pub fn current() -> Option<&'static State> {
    // SAFETY: null, or a state that has been leaked.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// Makes `state` the current one, unless there is one.
pub fn set(state: &'static State) -> bool {
    let new = std::ptr::from_ref(state).cast_mut();
    CURRENT.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

/// There is none any more.
pub fn clear() {
    CURRENT.store(std::ptr::null_mut(), Ordering::Release);
}
