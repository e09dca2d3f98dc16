//! The part of the kernel that lies between processes: ports and messages, the bootstrap server, connections, exceptions.
//!
//! Several emulated programs share a [`Kernel`], each on a thread of this host, and with them whatever a test plays itself.
//! Time passes only while all of them wait: then it is the earliest end of a wait. So nothing depends on how fast
//! this host is.

mod descriptors;
mod exceptions;
mod messages;
mod ports;
mod process;
mod sockets;
mod spawn;
mod state;
#[cfg(test)]
mod tests;

pub use exceptions::{Answer, Raised};
pub use messages::{Audit, Delivered};
pub use ports::Name;
pub use process::Process;

use ports::Kind;
use state::State;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the port of a process's task is.
pub(crate) fn task(pid: i32) -> Kind {
    Kind::Task(pid)
}

/// What the port of a thread is, which has this name everywhere.
pub(crate) fn thread(name: Name) -> Kind {
    Kind::Thread(name)
}

/// `kern_return_t`, `mach_msg_return_t` and codes of the bootstrap server, as far as they are played.
pub(crate) mod code {
    pub const INVALID_ARGUMENT: i32 = 4;
    pub const INVALID_NAME: i32 = 15;
    pub const INVALID_RIGHT: i32 = 17;
    pub const SEND_INVALID_DEST: i32 = 0x1000_0003;
    pub const SEND_TIMED_OUT: i32 = 0x1000_0004;
    pub const SEND_MSG_TOO_SMALL: i32 = 0x1000_0008;
    pub const SEND_INVALID_REPLY: i32 = 0x1000_0009;
    pub const SEND_INVALID_RIGHT: i32 = 0x1000_000a;
    pub const SEND_INVALID_TYPE: i32 = 0x1000_000f;
    pub const SEND_INVALID_HEADER: i32 = 0x1000_0010;
    pub const RCV_INVALID_NAME: i32 = 0x1000_4002;
    pub const RCV_TIMED_OUT: i32 = 0x1000_4003;
    pub const RCV_TOO_LARGE: i32 = 0x1000_4004;
    pub const SERVICE_ACTIVE: i32 = 1103;
    pub const UNKNOWN_SERVICE: i32 = 1102;
}

/// Longest that this host may take between two changes: more means that the emulation hangs.
const HANGS: Duration = Duration::from_secs(300);

/// A computer with several processes.
#[derive(Debug, Clone)]
pub struct Kernel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A thread of this host that takes part: time stands still while it does not wait. Ends with the value.
#[derive(Debug)]
pub struct Actor(Kernel);

impl Drop for Actor {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running = state.running.saturating_sub(1);
        if state.running == 0 {
            state.pass_time();
        }
        self.0.0.changed.notify_all();
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self(Arc::new(Shared { state: Mutex::new(State::default()), changed: Condvar::new() }))
    }
}

impl Kernel {
    /// Announces a thread that is going to take part.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.lock().running += 1;
        Actor(self.clone())
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.lock().now
    }

    /// Which forms of exceptions `task_swap_exception_ports` takes, from now on (`EXCEPTION_*`).
    pub fn accept_behaviors(&self, behaviors: &[u32]) {
        self.lock().behaviors = behaviors.to_vec();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks, and changes; then others that wait look again.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.wake();
        self.0.changed.notify_all();
        result
    }

    /// Waits until `look` finds something, at most until `deadline`; `None` then.
    fn wait<T>(
        &self,
        deadline: Option<u64>,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&mut state) {
                state.wake();
                self.0.changed.notify_all();
                return Ok(Some(found));
            }
            if deadline.is_some_and(|deadline| state.now >= deadline) {
                return Ok(None);
            }
            state.waiting.push(deadline);
            state.running = state.running.saturating_sub(1);
            let seen = state.version;
            if state.running == 0 {
                state.pass_time();
                self.0.changed.notify_all();
            }
            while state.version == seen && !state.is_stuck {
                let (next, timeout) =
                    self.0.changed.wait_timeout(state, HANGS).unwrap_or_else(PoisonError::into_inner);
                state = next;
                state.is_stuck |= timeout.timed_out() && state.version == seen;
            }
            if state.is_stuck {
                return Err("everybody waits for what nobody does".to_owned());
            }
        }
    }
}
