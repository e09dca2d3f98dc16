//! Stops the other threads of a process of which one is about to die.

use super::trace::{self, Event, Wait};
use libc::pid_t;
use std::fs;
use std::time::{Duration, Instant};

/// The first pause between two looks, and the longest.
const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(1);
/// A thread in an uninterruptible wait, as a vfork parent is, is waited for no longer than this.
const UNINTERRUPTIBLE: Duration = Duration::from_millis(50);
/// Rounds of listing the threads; stopped ones make no new ones, so few are needed.
const ROUNDS: usize = 100;

/// The threads that were stopped.
#[derive(Debug, Default)]
pub struct Held {
    /// All that stand still now.
    pub stopped: Vec<pid_t>,
    /// Those of them that did nothing but stop, and are to go on afterwards.
    pub idle: Vec<pid_t>,
    /// What else was told of threads meanwhile, to be answered afterwards.
    pub told: Vec<(pid_t, Wait)>,
}

/// Stops all threads of process `pid` but `first`, which stands already. What does not stop within `limit` is left.
pub fn stop_others(pid: pid_t, first: pid_t, limit: Duration) -> Held {
    let deadline = Instant::now() + limit;
    let mut held = Held::default();
    let mut known = vec![first];
    for _ in 0..ROUNDS {
        let new: Vec<pid_t> = threads(pid).into_iter().filter(|tid| !known.contains(tid)).collect();
        if new.is_empty() || Instant::now() >= deadline {
            break;
        }
        for tid in &new {
            // Whatever is wrong with it, the wait tells.
            let _ = trace::interrupt(*tid);
        }
        known.extend(&new);
        wait_for(pid, new, deadline, &mut held);
    }
    held
}

fn wait_for(pid: pid_t, mut waiting: Vec<pid_t>, deadline: Instant, held: &mut Held) {
    let begun = Instant::now();
    let mut pause = SHORTEST;
    loop {
        waiting.retain(|tid| !look_at(*tid, held));
        let now = Instant::now();
        let long = now.duration_since(begun) > UNINTERRUPTIBLE;
        if waiting.is_empty() || now >= deadline {
            return;
        }
        if long && waiting.iter().all(|tid| matches!(state_of(pid, *tid), None | Some('D' | 'Z' | 'X'))) {
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST);
    }
}

/// Looks once; true when there is nothing more to wait for.
fn look_at(tid: pid_t, held: &mut Held) -> bool {
    match trace::poll(tid) {
        Ok(None) => return false,
        // Not a tracee (any more).
        Err(_) => {}
        Ok(Some(wait @ Wait::Ended { .. })) => held.told.push((tid, wait)),
        Ok(Some(Wait::Stopped { event: Event::Other, .. })) => {
            held.stopped.push(tid);
            held.idle.push(tid);
        }
        Ok(Some(wait @ Wait::Stopped { .. })) => {
            held.stopped.push(tid);
            held.told.push((tid, wait));
        }
    }
    true
}

fn threads(pid: pid_t) -> Vec<pid_t> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"));
    let entries = entries.into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The letter of /proc/PID/task/TID/stat.
fn state_of(pid: pid_t, tid: pid_t) -> Option<char> {
    let stat = fs::read(format!("/proc/{pid}/task/{tid}/stat")).ok()?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(close + 2).map(|letter| char::from(*letter))
}
