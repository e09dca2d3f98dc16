//! What a crash finds prepared.
#![expect(unsafe_code, reason = "memory that is shared with whoever crashes")]

use super::FirstChance;
use super::channel::Channel;
use super::fallback::Fallback;
use super::message::About;
use super::reporter::Reporter;
use minidump_record::Annotations;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

/// What the program says of itself, whoever sets it.
pub static ANNOTATIONS: Annotations = Annotations::new();

/// The state of the client that is installed, away from the heap; it is never freed, for a crash may have it at any time.
static CURRENT: AtomicPtr<State> = AtomicPtr::new(std::ptr::null_mut());

/// All that a crash needs.
#[derive(Debug)]
pub struct State {
    pub channel: Channel,
    pub reporter: Reporter,
    pub fallback: Option<Fallback>,
    pub about: About,
    /// How long the handler may take to say that it has read a request.
    pub patience: Duration,
    pub first_chance: Option<FirstChance>,
}

/// The state of the client that is installed.
pub fn current() -> Option<&'static State> {
    // SAFETY: null, or a state that stays for ever.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// Makes `state` the current one.
pub fn set(state: &'static State) {
    CURRENT.store(std::ptr::from_ref(state).cast_mut(), Ordering::Release);
}

/// There is none any more.
pub fn clear() {
    CURRENT.store(std::ptr::null_mut(), Ordering::Release);
}
