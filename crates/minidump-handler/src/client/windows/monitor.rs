//! The thread that keeps the handler alive, speaks with it, and looks after heartbeats.

use super::message;
use super::reach::{Reached, Source};
use super::state::{ANNOTATIONS, State};
use crate::client::DumpError;
use crate::client::heartbeat::Beats;
use crate::protocol::{Reply, ReplyKind, RequestKind};
use crate::windows::event::{Event, Waited, wait};
use crate::windows::operation;
use crate::windows::pipe::Pipe;
use std::io;
use std::os::windows::io::AsHandle as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The first and the longest pause before a handler that did not run is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A handler that ran for so long is started again at once.
const RAN: Duration = Duration::from_secs(5);
/// Between two signs of life of the handler while it dumps a program that goes on, and for all of it.
const SILENCE: Duration = Duration::from_secs(5);
const ALL: Duration = Duration::from_secs(300);

/// Where the answer to a wish goes.
type Answer = Result<PathBuf, DumpError>;

/// A dump that is wished for.
#[derive(Debug)]
struct Wish {
    message: Vec<u8>,
    answer: mpsc::Sender<Answer>,
}

/// What the thread and the client share.
#[derive(Debug)]
pub struct Shared {
    pub beats: Beats,
    pub stop: AtomicBool,
    wishes: Mutex<Vec<Wish>>,
    waker: Event,
}

impl Shared {
    pub fn new() -> io::Result<Self> {
        let (beats, stop, wishes) = (Beats::default(), AtomicBool::new(false), Mutex::default());
        Ok(Self { beats, stop, wishes, waker: Event::that_resets()? })
    }

    /// Has the thread look again.
    pub fn wake(&self) {
        self.waker.set();
    }

    /// Has the handler dump this program. Returns what it says.
    pub fn wish(&self, message: Vec<u8>) -> Answer {
        let (answer, told) = mpsc::channel();
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).push(Wish { message, answer });
        self.wake();
        // The thread has deadlines of its own. Where it is no more, the wish goes with it.
        told.recv_timeout(ALL.saturating_mul(2)).unwrap_or(Err(DumpError::NoHandler))
    }

    fn take(&self) -> Vec<Wish> {
        std::mem::take(&mut *self.wishes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Starts the thread. `reached` is the handler that is there already.
pub fn spawn(
    state: &'static State,
    shared: Arc<Shared>,
    source: Option<Source>,
    reached: Option<Reached>,
) -> io::Result<JoinHandle<()>> {
    let mut monitor =
        Monitor { state, shared, source, pipe: None, since: Instant::now(), pause: FIRST_PAUSE, due: None };
    match reached {
        Some(reached) => monitor.take(reached),
        None => monitor.due = Some(Instant::now() + FIRST_PAUSE),
    }
    let thread = std::thread::Builder::new().name("crash monitor".into()).stack_size(256 << 10);
    thread.spawn(move || monitor.run())
}

struct Monitor {
    state: &'static State,
    shared: Arc<Shared>,
    source: Option<Source>,
    /// The connection to the handler, while there is one.
    pipe: Option<Pipe>,
    /// Since when there is.
    since: Instant,
    /// How long to wait before the next try, and when that is.
    pause: Duration,
    due: Option<Instant>,
}

impl Monitor {
    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            if self.has_lost_handler() {
                self.lose();
            }
            if self.pipe.is_none() && self.due.is_some_and(|due| due <= Instant::now()) {
                self.revive();
            }
            for wish in self.shared.take() {
                let answer = self.ask(&wish.message);
                // Whoever has stopped waiting has its answer in the dump directory.
                let _ = wish.answer.send(answer);
            }
            let mut late = Vec::new();
            self.shared.beats.overdue(|thread, reason| {
                late.push(message::of_wish(
                    RequestKind::Hang,
                    (thread, reason),
                    self.state.about,
                    &ANNOTATIONS,
                ));
            });
            for message in late {
                // What comes of it is in the dump directory; there is nobody to tell.
                let _ = self.ask(&message);
            }
        }
        self.state.channel.close();
        self.shared.take();
    }

    /// Waits until something is to be done. Whether the handler has gone, or says what it was not asked.
    fn has_lost_handler(&mut self) -> bool {
        let beats = self.shared.beats.next();
        let due =
            self.due.filter(|_| self.pipe.is_none()).map(|due| due.saturating_duration_since(Instant::now()));
        let most = beats.into_iter().chain(due).min();
        let waker = self.shared.waker.as_handle();
        match &mut self.pipe {
            Some(pipe) => pipe.expect().is_err() || wait([waker, pipe.has_come()], most) == Waited::For(1),
            None => {
                wait([waker], most);
                false
            }
        }
    }

    /// There is no handler any more. Another is tried after a pause, which grows as long as none of them runs.
    fn lose(&mut self) {
        self.pipe = None;
        self.state.channel.close();
        let ran = self.since.elapsed() >= RAN;
        self.pause = if ran { FIRST_PAUSE } else { self.pause.saturating_mul(2).min(LONGEST_PAUSE) };
        let pause = if ran { Duration::ZERO } else { self.pause };
        self.due = self.source.as_ref().map(|_| Instant::now() + pause);
    }

    /// Reaches another handler.
    fn revive(&mut self) {
        match self.source.as_ref().map(Source::reach) {
            Some(Ok(reached)) => self.take(reached),
            // One that cannot be reached is as one that did not run.
            Some(Err(_)) => {
                self.since = Instant::now();
                self.lose();
            }
            None => self.due = None,
        }
    }

    fn take(&mut self, reached: Reached) {
        let Reached { pipe, registered, pid } = reached;
        self.since = Instant::now();
        if self.state.channel.open(registered, pid) {
            self.pipe = Some(pipe);
        } else {
            // A crash is being reported to the handler of before; its end is near, one way or the other.
            self.lose();
        }
    }

    /// Has the handler dump this program.
    fn ask(&mut self, message: &[u8]) -> Answer {
        let patience = self.state.patience;
        let pipe = self.pipe.as_mut().ok_or(DumpError::NoHandler)?;
        let answer = exchange(pipe, message, patience);
        if matches!(answer, Err(DumpError::NoHandler | DumpError::Silent)) {
            // What it may still say is no answer to the next wish.
            self.lose();
        }
        answer
    }
}

fn exchange(pipe: &mut Pipe, message: &[u8], patience: Duration) -> Answer {
    let failed = |error: io::Error| {
        if operation::is_end(&error) { DumpError::NoHandler } else { DumpError::Silent }
    };
    pipe.send(message, patience).map_err(failed)?;
    let last = Instant::now() + ALL;
    let mut silence = patience;
    loop {
        let left = last.saturating_duration_since(Instant::now());
        let reply = Reply::decode(pipe.receive(silence.min(left)).map_err(failed)?);
        let Ok(Reply { kind, text }) = reply else { return Err(DumpError::Silent) };
        match kind {
            ReplyKind::Done => return Ok(PathBuf::from(text)),
            ReplyKind::Declined => return Err(DumpError::Declined(text)),
            ReplyKind::Failed => return Err(DumpError::Failed(text)),
            ReplyKind::Accepted | ReplyKind::Waiting | ReplyKind::Hello => silence = SILENCE,
        }
    }
}
