//! Stopping every thread of a process, and letting them go.
//!
//! Seize all, interrupt all, wait for all; again until no new thread appears. No signal is sent, so the target, its
//! parent and its job-control state notice nothing, and if the tracer dies the kernel lets everything run on.

use super::proc_fs::{Stat, parse_syscall, read_text};
use super::ptrace::{self, Event};
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
/// First and longest pause between looks at threads that have not stopped.
const SHORTEST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);
/// Looks that only give way to other threads, before the pauses start.
const EAGER_LOOKS: u32 = 4;

/// State of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
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
    threads: Vec<(pid_t, State)>,
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
    /// Stops all threads of `pid`, waiting for none of them longer than `deadline` in all. `own_child` says that the
    /// process is a child of this one.
    pub fn stop_all(
        pid: pid_t,
        own_child: bool,
        tasks: &mut TaskList,
        deadline: Duration,
        soft_errors: &mut Vec<SoftError>,
    ) -> Result<Self, StopFailure> {
        let mut tracees = Self { pid, own_child, threads: Vec::with_capacity(64) };
        let mut listed = Vec::with_capacity(64);
        let deadline = Instant::now() + deadline;
        let mut denied = None;
        for round in 0.. {
            match tasks.list(&mut listed) {
                Ok(()) => {}
                Err(error) if tracees.threads.is_empty() => return Err(StopFailure::Other(error)),
                Err(_) => break,
            }
            let first_new = tracees.threads.len();
            tracees.seize_new(&listed, &mut denied);
            if tracees.threads.len() == first_new {
                break;
            }
            tracees.interrupt_from(first_new);
            tracees.wait_from(first_new, deadline);
            if round >= ROUNDS || Instant::now() >= deadline {
                let message = "the process still made new threads when the deadline came; some are missing";
                soft_errors.push(SoftError::new(Stage::StopThread, message));
                break;
            }
        }
        match denied {
            _ if tracees.stopped().next().is_some() => {}
            Some(error) => {
                return Err(match io::Error::raw_os_error(&error) {
                    Some(libc::EPERM | libc::EACCES) => StopFailure::Denied,
                    _ => StopFailure::Other(error),
                });
            }
            None if tracees.unstoppable().next().is_none() => return Err(StopFailure::Gone),
            None => {}
        }
        tracees.report(denied.as_ref().map(denied_threads), soft_errors);
        Ok(tracees)
    }

    /// Ids of the stopped threads.
    pub fn stopped(&self) -> impl Iterator<Item = pid_t> {
        self.threads.iter().filter(|(_, state)| matches!(state, State::Stopped(_))).map(|(tid, _)| *tid)
    }

    /// Ids of the stopped threads, each with the signal it is to be given when let go; zero when there is none.
    pub fn stopped_on(&self) -> impl Iterator<Item = (pid_t, c_int)> {
        self.threads.iter().filter_map(|(tid, state)| match state {
            State::Stopped(signal) => Some((*tid, *signal)),
            State::Asked | State::Unstoppable | State::Gone => None,
        })
    }

    /// Ids of the threads that are there but did not stop.
    pub fn unstoppable(&self) -> impl Iterator<Item = pid_t> {
        self.threads.iter().filter(|(_, state)| *state == State::Unstoppable).map(|(tid, _)| *tid)
    }

    fn leave_exit(&self, tid: pid_t) -> bool {
        self.own_child && tid == self.pid
    }

    /// Seizes those of `listed` that are not known yet, without stopping them.
    fn seize_new(&mut self, listed: &[pid_t], denied: &mut Option<io::Error>) {
        let mut known: Vec<pid_t> = self.threads.iter().map(|(tid, _)| *tid).collect();
        known.sort_unstable();
        for tid in listed.iter().filter(|tid| known.binary_search(tid).is_err()) {
            match ptrace::seize(*tid) {
                Ok(()) => self.threads.push((*tid, State::Asked)),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                // The kernel says EPERM for an exited main thread, too.
                Err(_) if has_exited(self.pid, *tid) => {}
                Err(error) => *denied = Some(error),
            }
        }
    }

    fn interrupt_from(&mut self, first: usize) {
        for (tid, state) in self.threads.iter_mut().skip(first) {
            // ESRCH: it has exited meanwhile, which the wait will tell. Nothing else can be wrong with a tracee.
            if ptrace::interrupt(*tid).is_err() && *state == State::Asked {
                *state = State::Gone;
            }
        }
        // A thread taken for gone may be an exited tracee that only this tracer can bury.
        for index in first..self.threads.len() {
            if let Some((tid, State::Gone)) = self.threads.get(index).copied() {
                let _ = ptrace::poll_event(tid, self.leave_exit(tid));
            }
        }
    }

    /// Waits until every thread from index `first` on has stopped or died, or time is up.
    fn wait_from(&mut self, first: usize, deadline: Instant) {
        let mut waiting: Vec<usize> = (first..self.threads.len()).collect();
        let mut pause = SHORTEST_PAUSE;
        let mut stuck_since: Option<Instant> = None;
        for look in 0_u32.. {
            waiting.retain(|index| !self.look_at(*index, look));
            if waiting.is_empty() {
                return;
            }
            let now = Instant::now();
            if now >= deadline {
                break;
            }
            if look < EAGER_LOOKS {
                std::thread::yield_now();
                continue;
            }
            // Looking at /proc costs more than the shortest pauses, so only the longer ones pay for it.
            if pause >= LONGEST_PAUSE {
                let all_stuck = waiting.iter().all(|index| self.is_uninterruptible(*index));
                stuck_since = all_stuck.then(|| stuck_since.unwrap_or(now));
                if stuck_since.is_some_and(|since| now.duration_since(since) >= UNINTERRUPTIBLE_GRACE) {
                    break;
                }
            }
            std::thread::sleep(pause.min(deadline - now));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        for index in waiting {
            if let Some((_, state @ State::Asked)) = self.threads.get_mut(index) {
                *state = State::Unstoppable;
            }
        }
    }

    /// Looks once at the thread; true when there is no more to wait for.
    fn look_at(&mut self, index: usize, look: u32) -> bool {
        let Some((tid, State::Asked)) = self.threads.get(index).copied() else { return true };
        let event = match ptrace::poll_event(tid, self.leave_exit(tid)) {
            // ECHILD: no longer a tracee. Somebody else in this process has waited for its end.
            Err(_) => Event::Gone,
            // Somebody else in this process may have taken the news that it stopped.
            Ok(Event::Nothing) if look > EAGER_LOOKS => ptrace::probe_stopped(tid).unwrap_or_else(|| {
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

    /// Lets all threads go, each with the signal it was stopped on.
    pub fn release(&mut self) {
        let (pid, own_child) = (self.pid, self.own_child);
        for (tid, state) in &mut self.threads {
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

/// Stack and instruction pointer of a thread that did not stop, as the kernel tells them of a blocked one.
pub fn blocked_at(pid: pid_t, tid: pid_t) -> Option<(u64, u64)> {
    parse_syscall(&read_text(format!("/proc/{pid}/task/{tid}/syscall")).ok()?)
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
