//! What another thread does for a tracer that hangs in PTRACE_SEIZE.
//!
//! A thread that calls exec holds the lock that seizing needs (`cred_guard_mutex`), kills the other threads of its process
//! and waits until they are reaped. The end of a tracee is reaped by its tracer. So a tracer that has seized one of those
//! threads and now seizes the next would wait for the exec, and the exec for the tracer, for ever. The kernel lets any
//! thread of the tracer's process take note of the end of a tracee, so the thread that waits for the tracer does so.
//!
//! Source: `de_thread` in fs/exec.c, `ptrace_attach` in kernel/ptrace.c, and __WNOTHREAD in wait(2).

use super::ptrace::{self, Event};
use libc::pid_t;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the tracer and the thread that waits for it share.
#[derive(Debug, Clone, Default)]
pub struct SeizeWatch(Arc<Mutex<Seizing>>);

#[derive(Debug, Default)]
struct Seizing {
    /// The tracees, and which of them have been reaped; nothing while no thread is being seized.
    tracees: Vec<(pid_t, bool)>,
    /// Since when threads are being seized.
    since: Option<Instant>,
    /// Nobody waits for the tracer any more.
    abandoned: bool,
}

impl SeizeWatch {
    fn lock(&self) -> MutexGuard<'_, Seizing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tracer begins to seize threads and has `tracees` already, those whose end it may take.
    pub fn begin(&self, tracees: impl Iterator<Item = pid_t>) {
        let mut seizing = self.lock();
        seizing.tracees.clear();
        seizing.tracees.extend(tracees.map(|tid| (tid, false)));
        seizing.since = Some(Instant::now());
    }

    /// The tracer has one more, the end of which it may take.
    pub fn add(&self, tid: pid_t) {
        self.lock().tracees.push((tid, false));
    }

    /// Whether the tracer is to give up.
    pub fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The tracer seizes no more. Returns which threads have been reaped since it began.
    pub fn end(&self) -> Vec<pid_t> {
        let mut seizing = self.lock();
        seizing.since = None;
        seizing.tracees.drain(..).filter(|(_, reaped)| *reaped).map(|(tid, _)| tid).collect()
    }

    /// Reaps the tracees that have died, while the tracer cannot because it is seizing threads.
    pub fn reap(&self) {
        let mut seizing = self.lock();
        for (tid, reaped) in seizing.tracees.iter_mut().filter(|(_, reaped)| !reaped) {
            // ECHILD: somebody else in this process was first.
            *reaped = matches!(ptrace::poll_exit(*tid), Ok(Event::Gone) | Err(_));
        }
    }

    /// Tells the tracer to give up if it has been seizing threads for longer than `limit`. Returns whether it has.
    pub fn abandon_after(&self, limit: Duration) -> bool {
        let mut seizing = self.lock();
        if seizing.since.is_some_and(|since| since.elapsed() > limit) {
            seizing.abandoned = true;
        }
        seizing.abandoned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tracees_of_the_present_seizing_are_told() {
        let watch = SeizeWatch::default();
        watch.begin([].into_iter());
        // Not a child of this process, so there is nothing to wait for.
        watch.add(1);
        watch.reap();
        assert_eq!(watch.end(), [1]);
        watch.begin([].into_iter());
        assert!(watch.end().is_empty());
    }

    #[test]
    fn that_a_tracee_has_stopped_is_left_for_its_tracer_to_see() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = pid_t::try_from(child.id()).unwrap();
        ptrace::seize(pid).unwrap();
        let watch = SeizeWatch::default();
        watch.begin([pid].into_iter());
        ptrace::interrupt(pid).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            watch.reap();
            match ptrace::poll_event(pid, false).unwrap() {
                Event::Stopped { signal: 0 } => break,
                event => assert_eq!(event, Event::Nothing),
            }
            assert!(Instant::now() < deadline, "the stop was never seen");
            std::thread::yield_now();
        }
        assert!(watch.end().is_empty());
        watch.begin([pid].into_iter());
        child.kill().unwrap();
        while ptrace::poll_exit(pid).is_ok_and(|event| event == Event::Nothing) {
            assert!(Instant::now() < deadline, "the end was never seen");
            std::thread::yield_now();
        }
        watch.reap();
        assert_eq!(watch.end(), [pid]);
        // Reaped above.
        let _ = child.wait();
    }

    #[test]
    fn it_is_given_up_only_while_seizing() {
        let watch = SeizeWatch::default();
        assert!(!watch.abandon_after(Duration::ZERO));
        watch.begin([].into_iter());
        assert!(!watch.abandon_after(Duration::from_secs(9)));
        watch.end();
        assert!(!watch.abandon_after(Duration::ZERO));
        watch.begin([].into_iter());
        while !watch.abandon_after(Duration::ZERO) {}
        assert!(watch.is_abandoned());
    }
}
