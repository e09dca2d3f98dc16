//! Stopping every thread of a process, and letting them go.
//!
//! Seize all, which stops none; interrupt those that sleep, wait for them; interrupt those that run, wait for them; again
//! until no new thread appears. No signal is sent, so the target, its parent and its job-control state notice nothing, and
//! if the tracer dies the kernel lets everything run on.
//!
//! Threads that run are stopped last and let go first, as only they notice: what can be done with the sleeping ones alone
//! is done before, see [`Tracees::stop_sleepers`].

use super::pauses::Pauses;
use super::proc_fs::Stat;
use super::ptrace::{self, Event};
use super::seize_watch::SeizeWatch;
use super::task_list::TaskList;
use crate::snapshot::{SoftError, Stage};
use libc::{c_int, pid_t};
use std::io;
use std::time::{Duration, Instant};

/// A thread in an uninterruptible wait runs no code of its own. When only such threads are left, the others are kept
/// standing for them no longer than this.
const UNINTERRUPTIBLE_GRACE: Duration = Duration::from_millis(50);
/// Rounds of listing before giving up on a process that makes threads faster than they can be stopped. Stopped
/// threads make none, so each round leaves fewer to make more.
const ROUNDS: usize = 1000;
/// State of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Traced, and running on.
    Seized,
    /// Asked to stop.
    Asked,
    /// Stopped; the signal it is to be given when let go.
    Stopped(c_int),
    /// Did not stop in time. It is still seized: the end of the tracing thread lets it go.
    Unstoppable,
    /// Has exited.
    Gone,
}

/// Threads held by the calling thread. Dropping it lets them go.
#[derive(Debug)]
pub struct Tracees {
    pid: pid_t,
    own_child: bool,
    /// In the order in which they are stopped.
    threads: Vec<(pid_t, State)>,
    /// How many of them were asleep when last looked at; they come first.
    sleepers: usize,
    /// When waiting for any thread ends.
    deadline: Instant,
    /// Why a thread could not be seized.
    denied: Option<io::Error>,
    watch: SeizeWatch,
    /// Somebody else has stopped them, and lets them go.
    lent: bool,
}

/// Why nothing could be stopped.
#[derive(Debug)]
pub enum StopFailure {
    /// There is no thread left.
    Gone,
    /// The kernel forbids it.
    Denied,
    /// Anything else.
    Other(io::Error),
}

impl Tracees {
    /// Seizes all threads of `pid`; they run on. `sleeps` tells which of them were asleep when last looked at. None is to
    /// be waited for longer than `patience` in all. `own_child` says that the process is a child of this one. Somebody looks at
    /// `watch`, see there.
    pub fn seize(
        pid: pid_t,
        own_child: bool,
        tasks: &mut TaskList,
        sleeps: impl Fn(pid_t) -> bool,
        patience: Duration,
        watch: SeizeWatch,
    ) -> Result<Self, StopFailure> {
        let deadline = Instant::now() + patience;
        let threads = Vec::with_capacity(64);
        let mut tracees =
            Self { pid, own_child, threads, sleepers: 0, deadline, denied: None, watch, lent: false };
        let mut listed = Vec::with_capacity(64);
        tasks.list(&mut listed).map_err(StopFailure::Other)?;
        tracees.seize_new(&listed)?;
        tracees.threads.sort_by_key(|(tid, _)| !sleeps(*tid));
        tracees.sleepers = tracees.threads.partition_point(|(tid, _)| sleeps(*tid));
        Ok(tracees)
    }

    /// The threads of `pid` that the calling thread has stopped already, and lets go itself. Others that are there are
    /// listed as unstoppable.
    pub fn stopped_before(pid: pid_t, stopped: &[pid_t], tasks: &mut TaskList) -> Self {
        let mut listed = Vec::new();
        let _ = tasks.list(&mut listed);
        let running = listed.into_iter().filter(|tid| !stopped.contains(tid) && !has_exited(pid, *tid));
        let running = running.map(|tid| (tid, State::Unstoppable));
        let threads = stopped.iter().map(|tid| (*tid, State::Stopped(0))).chain(running).collect();
        let (deadline, watch) = (Instant::now(), SeizeWatch::default());
        Self { pid, own_child: false, threads, sleepers: 0, deadline, denied: None, watch, lent: true }
    }

    /// Stops the threads that were asleep. Returns how many threads there are whose stop was tried so far.
    ///
    /// Their registers can be read from now on, while the others still run. Memory may still change.
    pub fn stop_sleepers(&mut self) -> usize {
        self.interrupt(0, self.sleepers);
        self.wait(0, self.sleepers);
        self.sleepers
    }

    /// Stops the rest, and threads that have come since.
    pub fn stop_rest(
        &mut self,
        tasks: &mut TaskList,
        soft_errors: &mut Vec<SoftError>,
    ) -> Result<(), StopFailure> {
        let mut listed = Vec::new();
        let mut first = self.sleepers;
        for round in 0.. {
            self.interrupt(first, self.threads.len());
            self.wait(first, self.threads.len());
            // Counting costs one call, listing one for each thousand threads and time for each.
            if tasks.count().is_some_and(|count| count == self.held()) || tasks.list(&mut listed).is_err() {
                break;
            }
            first = self.threads.len();
            self.bury_killed();
            self.seize_new(&listed)?;
            if self.threads.len() == first {
                break;
            }
            if round >= ROUNDS || Instant::now() >= self.deadline {
                self.wait(first, self.threads.len());
                let message = "the process still made new threads when the deadline came; some are missing";
                soft_errors.push(SoftError::new(Stage::StopThread, message));
                break;
            }
        }
        let denied = self.denied.take();
        match &denied {
            _ if self.stopped().next().is_some() => {}
            Some(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {
                return Err(StopFailure::Denied);
            }
            None if self.unstoppable().next().is_none() => return Err(StopFailure::Gone),
            None => {}
            Some(_) => return Err(denied.map_or(StopFailure::Gone, StopFailure::Other)),
        }
        self.report(denied.as_ref().map(denied_threads), soft_errors);
        Ok(())
    }

    /// Threads that are alive and known.
    fn held(&self) -> usize {
        let alive = |state: &State| matches!(state, State::Stopped(_) | State::Unstoppable);
        self.threads.iter().filter(|(_, state)| alive(state)).count()
    }

    /// Ids of the stopped threads from index `first` on, in the order in which they were stopped.
    pub fn stopped_from(&self, first: usize) -> impl Iterator<Item = pid_t> {
        let threads = self.threads.iter().skip(first);
        threads.filter(|(_, state)| matches!(state, State::Stopped(_))).map(|(tid, _)| *tid)
    }

    /// Ids of the stopped threads.
    pub fn stopped(&self) -> impl Iterator<Item = pid_t> {
        self.stopped_from(0)
    }

    /// Ids of the stopped threads, each with the signal it is to be given when let go; zero when there is none.
    pub fn stopped_on(&self) -> impl Iterator<Item = (pid_t, c_int)> {
        self.threads.iter().filter_map(|(tid, state)| match state {
            State::Stopped(signal) => Some((*tid, *signal)),
            State::Seized | State::Asked | State::Unstoppable | State::Gone => None,
        })
    }

    /// Ids of the threads that are there but did not stop.
    pub fn unstoppable(&self) -> impl Iterator<Item = pid_t> {
        self.threads.iter().filter(|(_, state)| *state == State::Unstoppable).map(|(tid, _)| *tid)
    }

    fn leave_exit(&self, tid: pid_t) -> bool {
        self.own_child && tid == self.pid
    }

    /// Seizes those of `listed` that are not known yet, without stopping them. Fails when nobody waits for it any more.
    fn seize_new(&mut self, listed: &[pid_t]) -> Result<(), StopFailure> {
        let mut known: Vec<pid_t> = self.threads.iter().map(|(tid, _)| *tid).collect();
        known.sort_unstable();
        let alive = self.threads.iter().filter(|(_, state)| *state != State::Gone).map(|(tid, _)| *tid);
        self.watch.begin(alive.filter(|tid| !self.leave_exit(*tid)));
        for tid in listed.iter().filter(|tid| known.binary_search(tid).is_err()) {
            match ptrace::seize(*tid) {
                Ok(()) if self.watch.is_abandoned() => {
                    return Err(StopFailure::Other(io::Error::from_raw_os_error(libc::ETIMEDOUT)));
                }
                Ok(()) if ptrace::is_thread_of(self.pid, *tid) => {
                    self.threads.push((*tid, State::Seized));
                    if !self.leave_exit(*tid) {
                        self.watch.add(*tid);
                    }
                }
                // The thread has ended, and another process has got its id meanwhile.
                Ok(()) => let_run(*tid),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                // The kernel says EPERM for an exited main thread, too.
                Err(_) if has_exited(self.pid, *tid) => {}
                Err(error) => self.denied = Some(error),
            }
        }
        for reaped in self.watch.end() {
            if let Some((_, state)) = self.threads.iter_mut().find(|(tid, _)| *tid == reaped) {
                *state = State::Gone;
            }
        }
        Ok(())
    }

    /// Asks the threads from index `first` up to `end` to stop.
    fn interrupt(&mut self, first: usize, end: usize) {
        let (pid, own_child) = (self.pid, self.own_child);
        let asked = self.threads.iter_mut().take(end).skip(first);
        for (tid, state) in asked.filter(|(_, state)| *state == State::Seized) {
            *state = State::Asked;
            // ESRCH: it has exited meanwhile, and only its tracer can bury it. Nothing else can be wrong with a tracee.
            if ptrace::interrupt(*tid).is_err() {
                let _ = ptrace::poll_event(*tid, own_child && *tid == pid);
                *state = State::Gone;
            }
        }
    }

    /// Waits until every thread from index `first` up to `end` has stopped or died, or time is up.
    fn wait(&mut self, first: usize, end: usize) {
        let mut waiting: Vec<usize> = (first..end).collect();
        let mut pauses = Pauses::new();
        let mut stuck_since: Option<Instant> = None;
        loop {
            // The thread that was asked last mostly stops last: looking at the others before is a call for each in vain.
            let last = waiting.last().is_none_or(|last| self.look_at(*last, pauses.are_long()));
            if last || pauses.are_longest() {
                waiting.retain(|index| !self.look_at(*index, pauses.are_longest()));
            }
            if waiting.is_empty() {
                return;
            }
            if pauses.are_long() {
                self.bury_killed();
            }
            let now = Instant::now();
            if now >= self.deadline {
                break;
            }
            // Looking at /proc costs more than the shorter pauses, so only the longest ones pay for it.
            if pauses.are_longest() {
                let all_stuck = waiting.iter().all(|index| self.is_uninterruptible(*index));
                stuck_since = all_stuck.then(|| stuck_since.unwrap_or(now));
                if stuck_since.is_some_and(|since| now.duration_since(since) >= UNINTERRUPTIBLE_GRACE) {
                    break;
                }
            }
            pauses.pause(now, self.deadline);
        }
        for index in waiting {
            if let Some((_, state @ State::Asked)) = self.threads.get_mut(index) {
                *state = State::Unstoppable;
            }
        }
    }

    /// Reaps the threads that have been killed since they were seized. One that calls exec kills the others, and goes on
    /// only when their tracer has taken note of their end; until then no thread of the process can be seized, and trying
    /// waits for that.
    fn bury_killed(&mut self) {
        let (pid, own_child) = (self.pid, self.own_child);
        let idle = |state: &State| matches!(state, State::Seized | State::Stopped(_));
        for (tid, state) in self.threads.iter_mut().filter(|(_, state)| idle(state)) {
            match ptrace::poll_event(*tid, own_child && *tid == pid) {
                Ok(Event::Nothing) => {}
                // A signal stopped it before it was asked.
                Ok(Event::Stopped { signal }) => *state = State::Stopped(signal),
                Ok(Event::Gone) | Err(_) => *state = State::Gone,
            }
        }
    }

    /// Looks once at the thread; true when there is no more to wait for. `sure` asks the kernel in a second way.
    fn look_at(&mut self, index: usize, sure: bool) -> bool {
        let Some((tid, State::Asked)) = self.threads.get(index).copied() else { return true };
        let event = match ptrace::poll_event(tid, self.leave_exit(tid)) {
            // ECHILD: no longer a tracee. Somebody else in this process has waited for its end.
            Err(_) => Event::Gone,
            // Somebody else in this process may have taken the news that it stopped.
            Ok(Event::Nothing) if sure => ptrace::probe_stopped(tid).unwrap_or_else(|| {
                if self.leave_exit(tid) && has_exited(self.pid, tid) { Event::Gone } else { Event::Nothing }
            }),
            Ok(event) => event,
        };
        let state = match event {
            Event::Nothing => return false,
            Event::Stopped { signal } => State::Stopped(signal),
            Event::Gone => State::Gone,
        };
        if let Some(thread) = self.threads.get_mut(index) {
            thread.1 = state;
        }
        true
    }

    fn is_uninterruptible(&self, index: usize) -> bool {
        let Some((tid, _)) = self.threads.get(index) else { return false };
        stat_of(self.pid, *tid).is_some_and(|stat| stat.state == 'D')
    }

    fn report(&self, denied: Option<SoftError>, soft_errors: &mut Vec<SoftError>) {
        soft_errors.extend(denied);
        for tid in self.unstoppable() {
            let state = stat_of(self.pid, tid).map_or('?', |stat| stat.state);
            let why = if state == 'D' {
                "it is in an uninterruptible wait, as a vfork parent is"
            } else {
                "time was up"
            };
            let message = format!("a thread in state {state} did not stop: {why}");
            soft_errors.push(SoftError::new(Stage::StopThread, message).thread(tid.unsigned_abs()));
        }
    }

    /// Lets all threads go, each with the signal it was stopped on. Those that ran go first, in the order in which they
    /// were stopped, so that none of them stands still for much longer than the others.
    pub fn release(&mut self) {
        if self.lent {
            return;
        }
        let (pid, own_child) = (self.pid, self.own_child);
        let (asleep, awake) = self.threads.split_at_mut_checked(self.sleepers).unwrap_or_default();
        for (tid, state) in awake.iter_mut().chain(asleep) {
            if let State::Stopped(signal) = *state {
                if ptrace::detach(*tid, signal).is_err() {
                    // It was killed while it stood. Only its tracer can bury it.
                    let _ = ptrace::poll_event(*tid, own_child && *tid == pid);
                }
                *state = State::Gone;
            }
        }
    }
}

impl Drop for Tracees {
    fn drop(&mut self) {
        self.release();
    }
}

/// Lets a thread go that was seized and not stopped. A tracee can only be let go while it is stopped, so it stops for an
/// instant.
fn let_run(tid: pid_t) {
    if ptrace::interrupt(tid).is_err() {
        return;
    }
    let deadline = Instant::now() + UNINTERRUPTIBLE_GRACE;
    while let Ok(Event::Nothing) = ptrace::poll_event(tid, true) {
        // The end of the tracing thread lets it go.
        if Instant::now() >= deadline {
            return;
        }
        std::thread::yield_now();
    }
    let _ = ptrace::detach(tid, 0);
}

fn stat_of(pid: pid_t, tid: pid_t) -> Option<Stat> {
    Stat::read(format!("/proc/{pid}/task/{tid}/stat")).ok()
}

fn has_exited(pid: pid_t, tid: pid_t) -> bool {
    stat_of(pid, tid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X' | 'x'))
}

fn denied_threads(error: &io::Error) -> SoftError {
    let message = "some threads could not be traced";
    SoftError::new(Stage::StopThread, message).os_error(error.raw_os_error())
}
