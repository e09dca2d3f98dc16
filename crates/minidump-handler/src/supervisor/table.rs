//! Which thread belongs to which process.

use libc::pid_t;
use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

/// A process that was given the signal that kills it is taken to be dying for so long. Others of its threads may crash
/// meanwhile; they need no dumps of their own.
const DYING: Duration = Duration::from_secs(2);

/// All threads that were heard of.
#[derive(Debug, Default)]
pub struct Table {
    processes: HashMap<pid_t, pid_t>,
    dying: HashMap<pid_t, Instant>,
}

impl Table {
    /// The process of thread `tid`.
    pub fn process_of(&mut self, tid: pid_t) -> Option<pid_t> {
        if let Some(pid) = self.processes.get(&tid) {
            return Some(*pid);
        }
        let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
        let pid = line.trim().parse().ok()?;
        self.processes.insert(tid, pid);
        Some(pid)
    }

    /// The thread has ended.
    pub fn forget(&mut self, tid: pid_t) {
        self.processes.remove(&tid);
        self.dying.remove(&tid);
    }

    /// The process has called exec: of its threads, one is left, with its id.
    pub fn replaced(&mut self, pid: pid_t) {
        self.processes.retain(|_, of| *of != pid);
        self.processes.insert(pid, pid);
        self.dying.remove(&pid);
    }

    /// The process is being given the signal that kills it.
    pub fn is_now_dying(&mut self, pid: pid_t) {
        self.dying.insert(pid, Instant::now());
    }

    /// Whether the process was ever given a signal that was to kill it.
    pub fn was_to_die(&self, pid: pid_t) -> bool {
        self.dying.contains_key(&pid)
    }

    /// Whether the process has lately been given the signal that kills it.
    pub fn is_dying(&self, pid: pid_t) -> bool {
        self.dying.get(&pid).is_some_and(|since| since.elapsed() < DYING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_belong_to_their_process_until_it_is_replaced() {
        let own = pid_t::try_from(std::process::id()).unwrap();
        let mut table = Table::default();
        let tid = std::thread::spawn(|| fs::read_link("/proc/thread-self").unwrap()).join().unwrap();
        assert_eq!(table.process_of(own), Some(own));
        assert_eq!(table.process_of(-1), None);
        let tid: pid_t = tid.file_name().unwrap().to_str().unwrap().parse().unwrap();
        table.processes.insert(tid, own);
        assert_eq!(table.process_of(tid), Some(own));
        table.is_now_dying(own);
        assert!(table.is_dying(own) && !table.is_dying(tid));
        table.replaced(own);
        assert_eq!(table.processes.len(), 1);
        assert!(!table.is_dying(own) && !table.was_to_die(own));
    }

    #[test]
    fn a_process_that_takes_long_to_die_was_to_die_all_the_same() {
        let mut table = Table::default();
        let long_ago = Instant::now().checked_sub(DYING * 2).unwrap();
        table.dying.insert(7, long_ago);
        assert!(table.was_to_die(7) && !table.is_dying(7));
        table.forget(7);
        assert!(!table.was_to_die(7));
    }
}
