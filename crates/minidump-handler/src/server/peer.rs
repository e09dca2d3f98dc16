//! Whom a request is about, by what the kernel says.

use super::socket::{self, Sender};
use std::fs;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The most threads of a process that are looked at to find one by its number in its own namespace.
const MOST_THREADS: usize = 1 << 16;

/// The longest file of /proc that is read, in bytes.
const MOST_BYTES: u64 = 64 << 10;

/// The process that asked, while it is known to be the same.
#[derive(Debug)]
pub struct Peer {
    pub sender: Sender,
    process: Option<OwnedFd>,
    /// When it began, in clock ticks since the machine started: with its number, no other process has it.
    began: u64,
}

impl Peer {
    /// Looks at the sender of a message, which waits for an answer and so is there. `None` when it cannot be seen from
    /// here, or is not.
    pub fn of(sender: Option<Sender>, process: Option<OwnedFd>) -> Option<Self> {
        let sender = sender.filter(|sender| sender.pid > 0)?;
        let began = began(sender.pid)?;
        let peer = Self { sender, process, began };
        // Looked at after it has been read: the number was not another's meanwhile.
        (!peer.has_ended()).then_some(peer)
    }

    fn has_ended(&self) -> bool {
        self.process.as_ref().is_some_and(|process| socket::has_ended(process.as_raw_fd()))
    }

    /// Whether the number still, or again, belongs to this process. One that has ended, and has nobody with its number, is
    /// the same.
    pub fn is_same(&self) -> bool {
        began(self.sender.pid).is_none_or(|began| began == self.began)
    }

    /// The number, here, of the thread that has the number `tid` in the process's own namespace.
    pub fn thread(&self, tid: i32) -> Option<i32> {
        let pid = self.sender.pid;
        let own = |tid: i32| {
            let status = read(&format!("/proc/{pid}/task/{tid}/status"))?;
            let status = String::from_utf8_lossy(&status);
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.trim().to_owned();
            ids.rsplit(char::is_whitespace).next()?.parse::<i32>().ok()
        };
        // The same number in both, as a rule.
        if own(tid) == Some(tid) {
            return Some(tid);
        }
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.take(MOST_THREADS).flatten();
        let mut numbers = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.find(|here| own(*here) == Some(tid))
    }

    /// The path of its program; its name where that cannot be read.
    pub fn program(&self) -> String {
        let pid = self.sender.pid;
        if let Ok(path) = fs::read_link(format!("/proc/{pid}/exe")) {
            return path.to_string_lossy().into_owned();
        }
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        String::from_utf8_lossy(&name).trim_end().to_owned()
    }
}

/// A file of /proc, which tells no length: in one call, as a rule.
fn read(path: &str) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(4096);
    fs::File::open(path).ok()?.take(MOST_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Field 22 of /proc/PID/stat (proc_pid_stat(5)); the second, in parentheses, may hold anything.
fn began(pid: i32) -> Option<u64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end..)?).ok()?;
    rest.split_ascii_whitespace().nth(20)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Sender {
        Sender { pid: std::process::id().cast_signed(), uid: 0, gid: 0 }
    }

    #[test]
    fn this_process_is_known_by_when_it_began() {
        let peer = Peer::of(Some(me()), None).unwrap();
        assert!(peer.is_same());
        assert!(!Peer { began: peer.began + 1, ..peer }.is_same());
    }

    #[test]
    fn a_thread_of_the_process_is_found_and_one_of_another_is_not() {
        let peer = Peer::of(Some(me()), None).unwrap();
        assert_eq!(peer.thread(peer.sender.pid), Some(peer.sender.pid));
        assert_eq!(peer.thread(1).filter(|_| peer.sender.pid != 1), None);
        assert!(peer.program().contains("minidump_handler"));
    }

    #[test]
    fn a_sender_that_cannot_be_seen_is_none() {
        assert!(Peer::of(Some(Sender { pid: 0, ..me() }), None).is_none());
        assert!(Peer::of(None, None).is_none());
    }
}
