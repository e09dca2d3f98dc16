//! Children of fork(2) get what only one process may use.
#![expect(unsafe_code, reason = "pthread_atfork")]

use super::{state, sys, turn};
use std::sync::Once;

/// Has each child make its own connection for answers. Children of vfork(2) and clone(2), in which no such function is
/// called, make one when they crash.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function makes system calls alone, as it must in a child of a program with threads.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    let errno = sys::errno();
    turn::forget();
    if let Some(state) = state::current() {
        // So that the handler sees when the last program has gone; only the first can start another handler.
        state.channel.theirs.close();
        state.channel.refill();
    }
    sys::set_errno(errno);
}
