//! The thread that keeps the handler alive, and looks after heartbeats.

use super::held::Held;
use super::start::{self, Program};
use super::state::State;
use super::{sys, wish};
use crate::client::heartbeat::Beats;
use crate::protocol::{ReplyKind, RequestKind};
use crate::wake::Waker;
use libc::c_int;
use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a handler may take to say that it runs.
const HELLO: Duration = Duration::from_secs(10);
/// The first and the longest pause before a handler that did not run is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A handler that ran for so long is started again at once.
const RAN: Duration = Duration::from_secs(5);

/// Where the handler comes from.
#[derive(Debug)]
pub enum Source {
    /// This program starts it.
    Started(Program),
    /// It listens at this path.
    Listens(PathBuf),
}

/// What the thread and the client share.
#[derive(Debug)]
pub struct Shared {
    pub beats: Beats,
    pub stop: AtomicBool,
    /// Wakes the thread.
    pub waker: Waker,
}

impl Shared {
    /// Has the thread look again.
    pub fn wake(&self) {
        self.waker.wake();
    }
}

/// Starts the thread.
pub fn spawn(
    state: &'static State,
    shared: Arc<Shared>,
    source: Source,
) -> io::Result<std::thread::JoinHandle<()>> {
    let now = Instant::now();
    let monitor = Monitor { state, shared, source, handler: None, since: now, pause: FIRST_PAUSE };
    // The program's signals are not for this thread: it inherits a mask of all but the faults.
    let masked = sys::block_signals();
    let thread = std::thread::Builder::new()
        .name("crash monitor".into())
        .stack_size(128 << 10)
        .spawn(move || monitor.run());
    sys::restore_signals(&masked);
    thread
}

struct Monitor {
    state: &'static State,
    shared: Arc<Shared>,
    source: Source,
    /// The handler that runs.
    handler: Option<Held>,
    /// Since when it runs, or is being waited for.
    since: Instant,
    /// How long to wait before the next try.
    pause: Duration,
}

impl Monitor {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            let timeout = self.timeout();
            let (heard, ended) = self.wait(timeout);
            self.shared.waker.drain();
            if heard {
                self.listen();
            }
            if ended || self.is_overdue() {
                self.revive();
            }
            self.shared.beats.overdue(|thread, reason| {
                // What comes of it is in the dump directory; there is nobody to tell.
                let _ = wish::dump(self.state, RequestKind::Hang, thread, reason);
            });
        }
    }

    /// Until when nothing has to be done.
    fn timeout(&self) -> Duration {
        let hello = self.handler.is_none().then(|| HELLO.saturating_sub(self.since.elapsed()));
        let beats = self.shared.beats.next();
        hello
            .into_iter()
            .chain(beats)
            .min()
            .unwrap_or(Duration::from_secs(3600))
            .max(Duration::from_millis(1))
    }

    /// Waits. Whether the handler said something, and whether it has ended.
    fn wait(&self, timeout: Duration) -> (bool, bool) {
        let control = self.state.channel.control.get();
        let handler = self.handler.as_ref().map_or(-1, Held::get);
        let fds = [self.shared.waker.descriptor(), control, handler];
        let [_, heard, ended] = sys::wait_for_any(fds, timeout);
        (heard, ended)
    }

    /// Reads what the handler has said: only that it runs, and thereby who it is.
    fn listen(&mut self) {
        let control = self.state.channel.control.get();
        let mut buffer = [0; 256];
        match crate::server::receive(control, &mut buffer) {
            Ok(Some(received)) if ReplyKind::of(received.message) == Some(ReplyKind::Hello) => {
                let pid = received.sender.map_or(0, |sender| sender.pid);
                self.state.channel.handler.store(pid, Ordering::Release);
                self.see_handler(sys::open_process(pid));
                self.since = Instant::now();
            }
            Ok(Some(_)) => {}
            // The end of a connection that another program keeps.
            Ok(None) | Err(_) => self.revive(),
        }
    }

    /// Looks at another handler, or at none.
    fn see_handler(&mut self, handler: Option<OwnedFd>) {
        self.handler.iter().for_each(Held::close);
        self.handler = handler.map(|handler| Held::new(handler.into_raw_fd()));
    }

    /// Whether there is no handler although there should be one by now.
    fn is_overdue(&self) -> bool {
        self.handler.is_none()
            && self.state.channel.handler.load(Ordering::Acquire) == 0
            && self.since.elapsed() >= HELLO
    }

    /// Makes another handler, or connects to it.
    fn revive(&mut self) {
        self.state.channel.handler.store(0, Ordering::Release);
        let ran = self.handler.is_some() && self.since.elapsed() >= RAN;
        self.see_handler(None);
        self.pause = if ran { FIRST_PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
        if !ran && !self.rest() {
            return;
        }
        match &self.source {
            Source::Started(program) => {
                let theirs = self.state.channel.theirs.get();
                // One that cannot be started is overdue after a while.
                let _ = borrow(theirs).map(|theirs| program.start(theirs));
            }
            Source::Listens(path) => {
                if let Ok(new) = start::connect(path) {
                    self.state.channel.control.replace(new.into_raw_fd());
                }
            }
        }
        self.since = Instant::now();
    }

    /// Waits for the pause to pass. Whether to go on after it.
    fn rest(&self) -> bool {
        let until = Instant::now() + self.pause;
        while !self.shared.stop.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            sys::wait_for_any([self.shared.waker.descriptor(), -1, -1], left);
            self.shared.waker.drain();
        }
        false
    }
}

#[expect(unsafe_code, reason = "a descriptor that is kept as a number")]
fn borrow(fd: c_int) -> Option<BorrowedFd<'static>> {
    // SAFETY: the channel keeps it open as long as its number is there, which only this thread takes away.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}
