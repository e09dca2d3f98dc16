//! The handler: a process that dumps the programs that ask it to (the feature `client` is the other side).
//!
//! It makes a pipe of a name, or serves the one program that started it. A program registers ahead of its crash: the
//! handler opens its process, whose id the system tells, and gives it handles of events. A crashing program then sets one
//! of them, and its account lies in its own memory. Each program has a thread here, so that one that is slow or silent
//! holds up nobody; dumps are taken as many at a time as there are processors, and requests that come meanwhile wait for
//! their turn. Nothing that a program says decides who is dumped. `docs/handler.md` is the guide,
//! `docs/handler-protocol.md` tells the messages.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use minidump_handler::server::{Event, Server};
//! use minidump_handler::store::{Limits, Store};
//!
//! let store = Store::open(r"C:\ProgramData\example\crash", Limits::default())?;
//! let mut server = Server::listen(r"\\.\pipe\example-crash", store)?;
//! server.run(&|event| {
//!     if let Event::Dumped { path, .. } = event {
//!         println!("{}", path.display());
//!     }
//! })?;
//! # Ok(())
//! # }
//! ```

mod attachments;
mod capture;
mod connection;
mod listener;
mod peer;
mod registration;
#[cfg(test)]
mod tests;
mod turns;

pub use crate::attachment::FIRST_STREAM as FIRST_ATTACHMENT_STREAM;

use crate::store::Store;
use crate::windows::event;
use crate::windows::pipe::Pipe;
use connection::Shared;
use listener::Listener;
use minidump_writer::DumpOptions;
use std::ffi::OsStr;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use turns::Turns;

/// Requests that wait for their turn.
const MOST_WAITING: usize = 1024;

/// Why a server could not be made or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It cannot make the pipe; somebody else may have one of that name.
    #[error("cannot make the pipe {}: {source}", path.display())]
    Listen {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection that it was given is none.
    #[error("this is no connection of a client: {source}")]
    Connection {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gives it no event or thread.
    #[error("cannot make an event or a thread: {source}")]
    Descriptor {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A program has been dumped.
    Dumped {
        /// Its process id.
        pid: i32,
        /// Its program.
        program: &'e str,
        /// Why.
        reason: &'e str,
        /// Where the dump is.
        path: &'e Path,
    },
    /// There is no dump of a program that asked for one, or a program was not registered.
    Refused {
        /// Its process id; 0 where it is not known.
        pid: i32,
        /// Why not.
        why: &'e str,
    },
}

/// Who is told of events.
type OnEvent<'s> = &'s (dyn Fn(&Event<'_>) + Send + Sync);

/// The handler.
#[derive(Debug)]
pub struct Server {
    store: Store,
    options: DumpOptions,
    concurrency: usize,
    when_idle: Option<fn()>,
    source: Option<Source>,
    stop: Arc<event::Event>,
}

/// Where programs come from.
#[derive(Debug)]
enum Source {
    Listener(Listener),
    Connection(Box<Pipe>),
}

/// Ends a server, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<event::Event>);

impl Stopper {
    /// Has [`Server::run`] return when the dumps that it has begun are done.
    pub fn stop(&self) {
        self.0.set();
    }
}

impl Server {
    /// A server that makes the pipe `name` (`\\.\pipe\NAME`, or NAME alone), to which programs of the same user may connect.
    ///
    /// # Errors
    /// See [`ServerError`]. A name that somebody else has is refused: programs would register with whom they do not know.
    pub fn listen(name: impl AsRef<OsStr>, store: Store) -> Result<Self, ServerError> {
        Self::listen_to(name.as_ref(), store, false)
    }

    /// As [`listen`](Self::listen), for programs of all users. Only administrators and the system can dump those of others.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn listen_to_all(name: impl AsRef<OsStr>, store: Store) -> Result<Self, ServerError> {
        Self::listen_to(name.as_ref(), store, true)
    }

    fn listen_to(name: &OsStr, store: Store, is_public: bool) -> Result<Self, ServerError> {
        match Listener::new(name, is_public) {
            Ok(listener) => Self::new(store, Source::Listener(listener)),
            Err(source) => Err(ServerError::Listen { path: name.into(), source }),
        }
    }

    /// A server of one connection: the server's end of a pipe of messages, opened for overlapped operations, at whose other
    /// end a client is already. It ends with it.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn serve(connection: OwnedHandle, store: Store) -> Result<Self, ServerError> {
        let refused = |source| ServerError::Connection { source };
        let pipe = Pipe::new(connection).map_err(refused)?;
        pipe.client().map_err(refused)?;
        Self::new(store, Source::Connection(Box::new(pipe)))
    }

    fn new(store: Store, source: Source) -> Result<Self, ServerError> {
        let stop = event::Event::new().map_err(|source| ServerError::Descriptor { source })?;
        Ok(Self {
            store,
            options: DumpOptions::default(),
            concurrency: std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16),
            when_idle: None,
            source: Some(source),
            stop: Arc::new(stop),
        })
    }

    /// What the dumps hold. Crash, thread and annotations of the programs come on top.
    #[must_use]
    pub fn options(mut self, options: DumpOptions) -> Self {
        self.options = options;
        self
    }

    /// How many dumps are taken at a time. Default: the number of processors, 2 to 16.
    #[must_use]
    pub fn concurrency(mut self, dumps: usize) -> Self {
        self.concurrency = dumps.max(1);
        self
    }

    /// Calls `function` each time nothing is left to be done, before it waits.
    #[must_use]
    pub fn when_idle(mut self, function: fn()) -> Self {
        self.when_idle = Some(function);
        self
    }

    /// What ends this server.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Serves until it is stopped, or until its one connection ends. `on_event` is told of each request, by the thread
    /// that was at it. It can be called once; afterwards there is nothing to serve any more.
    ///
    /// # Errors
    /// None so far but those of a system without resources. See [`ServerError`].
    pub fn run(&mut self, on_event: &(dyn Fn(&Event<'_>) + Send + Sync)) -> Result<(), ServerError> {
        let Some(source) = self.source.take() else { return Ok(()) };
        // What is over the limits, and what dead programs left, is for another day where it cannot be tidied up.
        let _ = self.store.prune();
        let turns = Turns::new(self.concurrency, MOST_WAITING);
        let store = self.store.clone().tidied_elsewhere();
        let shared = Shared {
            store: &store,
            options: &self.options,
            turns: &turns,
            stop: &self.stop,
            when_idle: self.when_idle,
            on_event,
        };
        let done = match source {
            Source::Connection(pipe) => {
                connection::serve(*pipe, &shared, |_| true);
                Ok(())
            }
            Source::Listener(listener) => {
                listener.run(&shared).map_err(|source| ServerError::Descriptor { source })
            }
        };
        let _ = self.store.prune();
        done
    }
}

/// A process id, as this library tells them.
fn told(pid: u32) -> i32 {
    i32::try_from(pid).unwrap_or(0)
}
