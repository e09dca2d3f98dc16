//! In the program to protect: tells the handler of a crash, and writes a dump itself when nobody answers.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use minidump_handler::client::Client;
//!
//! let client = Client::builder()
//!     .dump_dir("/var/crash/example")
//!     .handler("/usr/libexec/minidump-writer")
//!     .version(env!("CARGO_PKG_VERSION"))
//!     .install()?;
//! client.annotate("channel", "beta")?;
//! # Ok(())
//! # }
//! ```
//!
//! What happens in a crash: the signal's handler, on a stack of its own, sends its account of the crash to the handler
//! process and waits, while that dumps this process; then the signal takes the effect that it would have had without a
//! client, so that the program ends as it would have. When the handler does not answer, the program writes a dump itself
//! (`docs/last-resort.md`). The signals are those whose default action is a core dump: SIGQUIT, SIGILL, SIGTRAP,
//! SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ and SIGSYS, as far as they are not ignored.
//!
//! Handlers that were there before get the signal afterwards. Programs whose runtime uses faults for its own purposes
//! install the client before the runtime, or use [`Builder::first_chance`]. Programs that have the `crash-handler` crate
//! already can go on using it, and call [`Client::dump_without_crashing`] in its event.
//!
//! With the client linked in, pthread_create is this crate's, which gives each thread an alternative signal stack of
//! 64 KiB, of which only what is used is ever there.
//!
//! On Windows the hooks are the filter of unhandled exceptions and the C library's handlers of invalid parameters, pure virtual
//! calls and `abort`; a thread that was made ahead tells the handler, which has this process open already, and without
//! one has dbghelp write the dump. The guide (`docs/handler.md`) has the differences.
//!
//! What escapes it: SIGKILL; a fault while its signal is blocked; code that puts its own handlers in the place of these;
//! a thread that ran before the client was installed with all signals blocked and overflows its stack. The supervisor
//! (`minidump-writer run`) catches all but the first.

mod builder;
mod heartbeat;
mod json;
#[cfg(not(windows))]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
use linux as platform;
#[cfg(windows)]
use windows as platform;

pub use builder::Builder;
pub use heartbeat::Heartbeat;
pub use minidump_record::{AnnotationError, MAX_ANNOTATIONS, MAX_KEY, MAX_VALUE};
pub use platform::FirstChance;

use crate::store::StoreError;
use platform::{ANNOTATIONS, Installed};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why a client could not be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is one.
    #[error("a client is installed already")]
    AlreadyInstalled,
    /// Neither a dump directory nor a running handler was named.
    #[error("neither a dump directory nor a running handler is named")]
    NoDumpDirectory,
    /// The dump directory cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The handler could not be started.
    #[error("cannot start the handler {}: {source}", program.display())]
    Start {
        /// Its program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No handler could be reached.
    #[error("cannot connect to the handler at {}: {source}", path.display())]
    Connect {
        /// Where it should listen.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No connection could be made.
    #[error("cannot make a connection for the handler: {source}")]
    Connection {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An annotation was refused.
    #[error("cannot set the annotation {key}: {source}")]
    Annotation {
        /// Its key.
        key: String,
        /// Why.
        #[source]
        source: AnnotationError,
    },
    /// A signal handler or a thread could not be installed.
    #[error("cannot install the handlers of signals: {source}")]
    Hook {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why there is no dump of a program that goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// There is no handler, or it has gone.
    #[error("there is no handler that could write a dump")]
    NoHandler,
    /// The handler said nothing for too long.
    #[error("the handler does not answer")]
    Silent,
    /// The handler keeps no more dumps of this program for now.
    #[error("the handler declined: {0}")]
    Declined(String),
    /// The handler could not dump it.
    #[error("the handler failed: {0}")]
    Failed(String),
}

/// The protection of this program against its crashes. There is one in a process. It stays until it is
/// [stopped](Client::stop): dropping this value changes nothing.
#[derive(Debug)]
pub struct Client {
    installed: Installed,
}

/// One client is installed or stopped at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Begins to describe how the program wants to be protected.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Sets an annotation, which each dump from now on will have: at any time, from any thread, and from signal
    /// handlers.
    ///
    /// # Errors
    /// It has no room. See [`AnnotationError`].
    pub fn annotate(&self, key: &str, value: &str) -> Result<(), AnnotationError> {
        ANNOTATIONS.set(key, value)
    }

    /// Removes an annotation. Returns whether it was there.
    ///
    /// # Errors
    /// Another change is in the way. See [`AnnotationError`].
    pub fn remove_annotation(&self, key: &str) -> Result<bool, AnnotationError> {
        ANNOTATIONS.remove(key)
    }

    /// Has the handler dump this program, which goes on. Returns where the dump is. The calling thread comes first in it.
    ///
    /// # Errors
    /// See [`DumpError`].
    pub fn dump_without_crashing(&self, reason: &str) -> Result<PathBuf, DumpError> {
        self.installed.dump(reason)
    }

    /// Has the handler dump this program, which goes on, when the calling thread does not call
    /// [`beat`](Heartbeat::beat) for `timeout`.
    #[must_use = "the heartbeat ends when it is dropped"]
    pub fn heartbeat(&self, timeout: Duration) -> Heartbeat {
        heartbeat::Beats::add(&self.installed.shared, timeout)
    }

    /// The process id of the handler, as this process sees it. `None` while none has said that it runs, and where it is
    /// out of sight, in another pid namespace.
    #[must_use]
    pub fn handler_pid(&self) -> Option<u32> {
        self.installed.handler_pid()
    }

    /// Sets room aside on the stack of the calling thread for the handling of its overflow. Threads that begin while a client is
    /// installed have it already, and so has the one that installed it. Whether there is room now.
    #[cfg(windows)]
    pub fn reserve_stack() -> bool {
        windows::stack::reserve()
    }

    /// Ends the protection: the signal handlers of before are back, where nobody has installed others since, and the
    /// handler ends when it has no other program to wait for.
    pub fn stop(self) {
        let _turn = turn();
        self.installed.stop();
    }
}
