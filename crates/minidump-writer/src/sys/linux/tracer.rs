//! The thread that traces: it runs the window, holds the target still for as long as its memory is being read, and lets
//! it go by ending.

use super::before::Before;
use super::hold::Hold;
use super::plain_thread::PlainThread;
use super::ptrace;
use super::seize_watch::SeizeWatch;
use super::target::Target;
use super::window::{self, Stop, Window};
use crate::{DumpOptions, Error, Pid};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A window that lasts longer than this may hang; looking whether it does costs the target nothing.
const UNUSUAL: Duration = Duration::from_millis(5);

/// All that the tracing thread needs.
struct Job {
    target: Target,
    before: Before,
    options: DumpOptions,
}

type Outcome = Result<(Before, Window), Error>;

/// Says that the target was let go before its memory had been read.
#[derive(Debug, Clone, Default)]
pub struct Expired(Arc<AtomicBool>);

impl Expired {
    /// Whether it was.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Holds the target still, or its copy alive, until it is dropped or [finished](Self::finish).
#[derive(Debug)]
pub struct Tracer {
    /// Tells the thread to let go. `None` when the calling thread itself is the tracer.
    release: Option<Sender<()>>,
    thread: Option<PlainThread<Option<Duration>>>,
    /// What the calling thread holds, when there was no room for another thread.
    own: Option<(Hold, Instant)>,
    expired: Expired,
}

impl Tracer {
    /// Runs the window. On return the target runs again, unless its memory is to be read through [`Window::held`].
    pub fn start(
        target: &Target,
        before: Before,
        options: &DumpOptions,
    ) -> Result<(Before, Window, Self), Error> {
        let pid = target.pid;
        let job = Job { target: target.clone(), before, options: options.clone() };
        // The thread takes the job out, so that it is still here when there is no thread.
        let job = Arc::new(Mutex::new(Some(job)));
        let take = |job: &Mutex<Option<Job>>| job.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (report, reported) = sync_channel(1);
        let (release, released) = channel();
        let expired = Expired::default();
        let watch = SeizeWatch::default();
        let (its_job, its_expired, its_watch) = (Arc::clone(&job), expired.clone(), watch.clone());
        let spawned = PlainThread::spawn(c"minidump-tracer", move || {
            ptrace::wake_promptly();
            let job = take(&its_job)?;
            trace(job, its_watch, &report, &released, &its_expired)
        });
        let Ok(thread) = spawned else {
            let mut job = take(&job).ok_or(Error::Internal { pid })?;
            let (window, hold) = window::run(&job.target, &mut job.before, &job.options, Stop::Seize(watch))?;
            let own = Some((hold, window.start));
            return Ok((job.before, window, Self { release: None, thread: None, own, expired }));
        };
        let (before, window) = wait_for(&reported, &watch, pid, options.deadline)??;
        let tracer = Self { release: Some(release), thread: Some(thread), own: None, expired };
        Ok((before, window, tracer))
    }

    /// Runs the window for a target that the calling thread has stopped already, and lets go itself.
    pub fn of_stopped(
        target: &Target,
        mut before: Before,
        options: &DumpOptions,
        stopped: &[Pid],
    ) -> Result<(Before, Window, Self), Error> {
        let (window, hold) = window::run(target, &mut before, options, Stop::Before(stopped))?;
        let own = Some((hold, window.start));
        Ok((before, window, Self { release: None, thread: None, own, expired: Expired::default() }))
    }

    /// The flag that is set when the target had to be let go early.
    pub fn expired(&self) -> Expired {
        self.expired.clone()
    }

    /// Lets the target go. Returns how long it stood still if that was until now.
    pub fn finish(mut self) -> Option<Duration> {
        self.release.take();
        if let Some((hold, start)) = self.own.take() {
            return let_go(hold, start);
        }
        self.thread.take().and_then(|thread| thread.join().flatten())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.release.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits for the outcome, and looks after a tracer that takes unusually long. It is waited for without a limit unless it
/// hangs in seizing threads, as all that comes later has a deadline of its own.
fn wait_for(
    reported: &Receiver<Outcome>,
    watch: &SeizeWatch,
    pid: Pid,
    limit: Duration,
) -> Result<Outcome, Error> {
    loop {
        match reported.recv_timeout(UNUSUAL) {
            Ok(outcome) => return Ok(outcome),
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Internal { pid }),
            Err(RecvTimeoutError::Timeout) => watch.reap(),
        }
        if watch.abandon_after(limit) {
            let source = io::Error::new(io::ErrorKind::TimedOut, "it hangs in the middle of an exec");
            return Err(Error::Stop { pid, source });
        }
    }
}

fn trace(
    mut job: Job,
    watch: SeizeWatch,
    report: &SyncSender<Outcome>,
    released: &Receiver<()>,
    expired: &Expired,
) -> Option<Duration> {
    let (window, hold) = match window::run(&job.target, &mut job.before, &job.options, Stop::Seize(watch)) {
        Ok(found) => found,
        Err(error) => {
            let _ = report.send(Err(error));
            return None;
        }
    };
    let start = window.start;
    let limit = if matches!(hold, Hold::Target(_)) { Some(job.options.hold_limit) } else { None };
    let _ = report.send(Ok((job.before, window)));
    if matches!(hold, Hold::Nothing) {
        return None;
    }
    // Both ways, an error means that the other side has let go.
    match limit.map(|limit| released.recv_timeout(limit)) {
        None => {
            let _ = released.recv();
        }
        Some(Err(RecvTimeoutError::Timeout)) => expired.0.store(true, Ordering::Release),
        Some(_) => {}
    }
    let_go(hold, start)
}

/// Lets go. Returns how long the target stood still, if it did until now.
fn let_go(hold: Hold, start: Instant) -> Option<Duration> {
    let held = matches!(hold, Hold::Target(_));
    drop(hold);
    held.then(|| start.elapsed())
}
