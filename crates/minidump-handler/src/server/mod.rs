//! The handler: a process that dumps the programs that ask it to ([`client`](crate::client)).
//!
//! It listens at a path, or serves the one program that started it and the children of that. A request is read and
//! answered by one thread, which never waits for anybody; dumps are taken by others, as many at a time as there are
//! processors, and requests that come meanwhile wait for their turn. Nothing that a program says is believed: whom to dump
//! is what the kernel says of the sender. `docs/handler.md` is the guide, `docs/handler-protocol.md` tells the messages.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use minidump_handler::server::{Event, Server};
//! use minidump_handler::store::{Limits, Store};
//!
//! let store = Store::open("/var/crash", Limits::default())?;
//! let mut server = Server::listen("/run/example/crash.sock", store)?;
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
mod jobs;
mod peer;
mod socket;

pub use crate::attachment::FIRST_STREAM as FIRST_ATTACHMENT_STREAM;
#[cfg(feature = "client")]
pub(crate) use socket::connect;
pub(crate) use socket::receive;

use crate::protocol::{MOST_BYTES, Reply, ReplyKind, Request};
use crate::store::Store;
use crate::wake::Waker;
use jobs::{Asker, Job, Jobs};
use minidump_writer::DumpOptions;
use peer::Peer;
use socket::Received;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two signs of life to those who wait.
const TICK: Duration = Duration::from_millis(500);
const TICK_MS: i32 = 500;
/// Messages that are read of one connection before the others have their turn.
const MOST_AT_ONCE: usize = 16;
/// Connections of one server, and of one other user to it.
const MOST_CONNECTIONS: usize = 1024;
const MOST_OF_USER: usize = 256;
/// Requests that wait for their turn.
const MOST_WAITING: usize = 1024;

/// Why a server could not be made or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It cannot listen.
    #[error("cannot listen at {}: {source}", path.display())]
    Listen {
        /// Where.
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
    /// The system gives it no descriptor.
    #[error("cannot make a descriptor: {source}")]
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
    /// There is no dump of a program that asked for one.
    Refused {
        /// Its process id; 0 where it cannot be seen from here.
        pid: i32,
        /// Why not.
        why: &'e str,
    },
}

/// The handler.
#[derive(Debug)]
pub struct Server {
    store: Store,
    options: DumpOptions,
    concurrency: usize,
    when_idle: Option<fn()>,
    listener: Option<(OwnedFd, PathBuf)>,
    connections: Vec<Connection>,
    waker: Arc<Waker>,
    is_stopped: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    /// The user at its other end, where that is another than this process's.
    stranger: Option<u32>,
}

/// Ends a server, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper {
    waker: Arc<Waker>,
    is_stopped: Arc<AtomicBool>,
}

impl Stopper {
    /// Has [`Server::run`] return when the requests that it has read are done.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Server {
    /// A server that listens at `path`, to which programs of the same user may connect.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn listen(path: impl Into<PathBuf>, store: Store) -> Result<Self, ServerError> {
        Self::listen_to(path.into(), store, false)
    }

    /// As [`listen`](Self::listen), for programs of all users. Only root can dump programs of others.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn listen_to_all(path: impl Into<PathBuf>, store: Store) -> Result<Self, ServerError> {
        Self::listen_to(path.into(), store, true)
    }

    fn listen_to(path: PathBuf, store: Store, is_public: bool) -> Result<Self, ServerError> {
        match socket::listen(&path, is_public) {
            Ok(listener) => Self::new(store, Some((listener, path))),
            Err(source) => Err(ServerError::Listen { path, source }),
        }
    }

    /// A server of one connection, which a client has made. It ends with it.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub fn serve(connection: OwnedFd, store: Store) -> Result<Self, ServerError> {
        socket::tell_senders(connection.as_raw_fd()).map_err(|source| ServerError::Connection { source })?;
        let mut server = Self::new(store, None)?;
        server.greet(connection);
        Ok(server)
    }

    fn new(store: Store, listener: Option<(OwnedFd, PathBuf)>) -> Result<Self, ServerError> {
        let waker = Waker::new().map_err(|source| ServerError::Descriptor { source })?;
        Ok(Self {
            store,
            options: DumpOptions::default(),
            concurrency: std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16),
            when_idle: None,
            listener,
            connections: Vec::new(),
            waker: Arc::new(waker),
            is_stopped: Arc::default(),
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

    /// Calls `function` each time nothing is left to be done, before it waits: to give memory back, for instance
    /// ([`give_back_program_memory`](crate::coredump_socket::give_back_program_memory)).
    #[must_use]
    pub fn when_idle(mut self, function: fn()) -> Self {
        self.when_idle = Some(function);
        self
    }

    /// What ends this server.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { waker: Arc::clone(&self.waker), is_stopped: Arc::clone(&self.is_stopped) }
    }

    /// Serves until it is stopped, or until its one connection ends. `on_event` is told of each request, by the thread
    /// that was at it.
    ///
    /// # Errors
    /// None so far but those of a system without resources. See [`ServerError`].
    pub fn run(&mut self, on_event: &(dyn Fn(&Event<'_>) + Send + Sync)) -> Result<(), ServerError> {
        // What is over the limits, and what dead programs left, is for another day where it cannot be tidied up.
        let _ = self.store.prune();
        let jobs = Arc::new(Jobs::new(MOST_WAITING, self.concurrency, Arc::clone(&self.waker)));
        let (store, options) = (self.store.clone().tidied_elsewhere(), self.options.clone());
        let work = move |job: Job| {
            let done = capture::capture(&job, &options, &store);
            answer(&job, &done, on_event);
            if let Ok(taken) = done {
                // The program does not wait for this; and what cannot be tidied up is for another day.
                let _ = store.tidy_after(&taken.id);
            }
        };
        std::thread::scope(|scope| {
            let mut buffer = vec![0; MOST_BYTES];
            let mut reassured = Instant::now();
            let mut was_busy = true;
            let _open = jobs.open();
            while !self.is_done(&jobs) {
                jobs.start(scope, &work);
                let is_busy = jobs.is_busy();
                if std::mem::replace(&mut was_busy, is_busy) && !is_busy {
                    self.when_idle.iter().for_each(|function| function());
                }
                let ready = socket::wait(self.descriptors(), if is_busy { TICK_MS } else { -1 });
                if reassured.elapsed() >= TICK {
                    jobs.reassure();
                    reassured = Instant::now();
                }
                self.waker.drain();
                self.attend(&ready, &jobs, &mut buffer, on_event);
            }
        });
        let _ = self.store.prune();
        Ok(())
    }

    /// Whether nothing is to come and nothing to be done.
    fn is_done(&self, jobs: &Jobs) -> bool {
        let is_over = self.listener.is_none() && self.connections.is_empty();
        (is_over || self.is_stopped.load(Ordering::Acquire)) && !jobs.is_busy()
    }

    /// In the order of [`attend`](Self::attend).
    fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let listener = self.listener.as_ref().map_or(-1, |(listener, _)| listener.as_raw_fd());
        let connections = self.connections.iter().map(|connection| connection.socket.as_raw_fd());
        [self.waker.descriptor(), listener].into_iter().chain(connections)
    }

    fn attend(
        &mut self,
        ready: &[bool],
        jobs: &Jobs,
        buffer: &mut [u8],
        on_event: &(dyn Fn(&Event<'_>) + Send + Sync),
    ) {
        let mut ready = ready.iter().copied().skip(1);
        let is_called = ready.next().unwrap_or(false);
        self.connections.retain(|connection| {
            // Those that are left come in the same order.
            !ready.next().unwrap_or(false) || read(connection, jobs, buffer, on_event)
        });
        if is_called {
            self.accept();
        }
    }

    fn accept(&mut self) {
        for _ in 0..MOST_AT_ONCE {
            let Some((listener, _)) = &self.listener else { return };
            // Without a descriptor for it, it waits in line.
            let Ok(Some(connection)) = socket::accept(listener.as_raw_fd()) else { return };
            self.greet(connection);
        }
    }

    /// Takes a connection, if there are not too many.
    fn greet(&mut self, socket: OwnedFd) {
        let stranger = socket::peer_user(socket.as_raw_fd()).filter(|user| *user != socket::own_user());
        let of_user = self.connections.iter().filter(|other| other.stranger == stranger).count();
        let is_greedy = stranger.is_some() && of_user >= MOST_OF_USER;
        if self.connections.len() >= MOST_CONNECTIONS || is_greedy {
            return;
        }
        let hello = Reply { kind: ReplyKind::Hello, text: String::new() };
        socket::send(socket.as_raw_fd(), &hello.encode());
        self.connections.push(Connection { socket, stranger });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.listener {
            // A socket that stays is replaced by the next server.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Reads what has come by a connection. Whether it goes on.
fn read(
    connection: &Connection,
    jobs: &Jobs,
    buffer: &mut [u8],
    on_event: &(dyn Fn(&Event<'_>) + Send + Sync),
) -> bool {
    for _ in 0..MOST_AT_ONCE {
        match receive(connection.socket.as_raw_fd(), buffer) {
            Ok(Some(received)) => take(received, connection.stranger.is_none(), jobs, on_event),
            Ok(None) => return false,
            Err(error) => {
                return matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            }
        }
    }
    true
}

/// Takes a request in. One that is none, or does not say where to answer, is answered, if it can be, and forgotten.
fn take(received: Received<'_>, is_own: bool, jobs: &Jobs, on_event: &(dyn Fn(&Event<'_>) + Send + Sync)) {
    let Received { message, sender, process, passed } = received;
    let pid = sender.map_or(0, |sender| sender.pid);
    let asker = passed.map(|passed| Arc::new(Asker(passed)));
    let refuse = |why: &str| {
        if let Some(asker) = &asker {
            asker.tell(ReplyKind::Failed, why);
        }
        on_event(&Event::Refused { pid, why });
    };
    let request = match Request::decode(message) {
        Ok(request) => request,
        Err(malformed) => return refuse(&format!("the request is malformed: {malformed}")),
    };
    let Some(asker) = asker.clone() else { return refuse("the request does not say where to answer") };
    // In this order: a sender that still waits for its answer is alive, and so its number is its own.
    let peer = Peer::of(sender, process);
    if asker.has_gone() {
        return on_event(&Event::Refused { pid, why: "the program does not wait for an answer any more" });
    }
    let Some(peer) = peer else {
        return refuse("the program cannot be seen from the handler's pid namespace");
    };
    asker.tell(ReplyKind::Accepted, "");
    let is_added = jobs.add(Job { request, peer, asker: Arc::clone(&asker) }, is_own);
    if !is_added {
        refuse("too many programs wait for their dumps");
    }
}

/// Tells the program, and whoever hosts the server, what has become of a request.
fn answer(
    job: &Job,
    done: &Result<capture::Taken, capture::Refusal>,
    on_event: &(dyn Fn(&Event<'_>) + Send + Sync),
) {
    let pid = job.peer.sender.pid;
    match done {
        Ok(taken) => {
            job.asker.tell(ReplyKind::Done, taken.path.to_string_lossy());
            let (program, reason) = (&taken.metadata.program, &taken.metadata.reason);
            on_event(&Event::Dumped { pid, program, reason, path: &taken.path });
        }
        Err(refusal) => {
            job.asker.tell(refusal.kind(), refusal.to_string());
            on_event(&Event::Refused { pid, why: &refusal.to_string() });
        }
    }
}

/// What the client's tests use to be a handler.
#[cfg(test)]
pub(crate) fn receive_for_tests(fd: RawFd) -> (Vec<u8>, Option<RawFd>) {
    let mut buffer = vec![0; MOST_BYTES];
    let received = receive(fd, &mut buffer).unwrap().unwrap();
    (received.message.to_vec(), received.passed.map(std::os::fd::IntoRawFd::into_raw_fd))
}
