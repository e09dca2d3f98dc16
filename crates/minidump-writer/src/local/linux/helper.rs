//! The helper process: made, watched, ended.
//!
//! It is made by the C library's fork(2), not by a bare clone: only that leaves memory allocation in order in the copy
//! of a process with several threads. Everything else in the copy is as some thread may have left it, so what runs
//! there takes no lock that it does not make itself.
#![allow(unsafe_code)]

use super::prctl;
use super::signals::Blocked;
use libc::pid_t;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Longest that a helper which has said all takes to end, and that a killed one takes to die.
const LAST_BREATH: Duration = Duration::from_secs(5);
/// Pause between looks where no descriptor tells of its end.
const PAUSE: Duration = Duration::from_millis(1);

/// How a helper ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Exited,
    /// By this signal.
    Killed(i32),
    /// Somebody else in this process has waited for it, or nobody is to (SIGCHLD is ignored).
    Unknown,
    /// It has not ended: the kernel could not end it in time.
    Lingering,
}

/// A helper process. Dropping this ends it and waits for it, so that no zombie stays.
#[derive(Debug)]
pub struct Helper {
    pid: pid_t,
    /// The process itself, which its number may cease to mean as soon as somebody has waited for it. `None` before
    /// Linux 5.3.
    pidfd: Option<OwnedFd>,
    socket: UnixStream,
    end: Option<End>,
}

impl Helper {
    /// Makes a copy of this process that does `work` with its end of a socket and then ends, whatever `work` does.
    ///
    /// All signals are blocked in it. Its parent's thread is the calling one, and the calling thread alone is copied.
    ///
    /// # Errors
    /// There is no socket or no process to be had.
    pub fn start<W: FnOnce(UnixStream)>(work: W) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let blocked = Blocked::all()?;
        // SAFETY: the copy runs `become_helper`, which never returns, so that no frame of this thread goes on twice.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => become_helper(work, theirs),
            pid => {
                drop(blocked);
                Ok(Self { pid, pidfd: open_pidfd(pid), socket, end: None })
            }
        }
    }

    /// Its id.
    pub fn pid(&self) -> pid_t {
        self.pid
    }

    /// This end of the socket.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Waits until the socket can be read, or the helper has died with nothing left to read. False when neither has
    /// happened by `until`.
    pub fn wait_readable(&self, until: Instant) -> io::Result<bool> {
        // The kernel looks at them in this order: at a death seen here, all that was ever sent is seen as well.
        let end = self.pidfd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        poll(&[end, self.socket.as_raw_fd()], until)
    }

    /// Reads from the socket without waiting. Nothing to read means that the helper has died, even when some fork of
    /// this process still holds the other end.
    pub fn receive_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (socket, flags) = (self.socket.as_raw_fd(), libc::MSG_DONTWAIT);
        // SAFETY: `buffer` is writable for its length.
        let received = unsafe { libc::recv(socket, buffer.as_mut_ptr().cast(), buffer.len(), flags) };
        usize::try_from(received).or_else(|_| {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) }
        })
    }

    /// Waits for the end of a helper that has said all it had to say.
    pub fn finish(&mut self) -> End {
        self.reap(false)
    }

    /// Ends the helper and waits for it.
    pub fn kill(&mut self) -> End {
        self.reap(true)
    }

    fn reap(&mut self, kill: bool) -> End {
        if let Some(end) = self.end {
            return end;
        }
        let mut end = if kill { self.look() } else { self.wait_for_end() };
        if end.is_none() {
            self.send_kill();
            end = self.wait_for_end();
        }
        *self.end.insert(end.unwrap_or(End::Lingering))
    }

    fn wait_for_end(&self) -> Option<End> {
        let until = Instant::now() + LAST_BREATH;
        loop {
            let end = self.look();
            if end.is_some() || Instant::now() >= until {
                return end;
            }
            self.pause(until);
        }
    }

    /// Takes the exit status, if there is one.
    fn look(&self) -> Option<End> {
        let by_descriptor = self.pidfd.as_ref().map(|pidfd| wait(libc::P_PIDFD, pidfd.as_raw_fd()));
        match by_descriptor {
            // P_PIDFD is one version younger than the descriptors.
            Some(Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => wait(libc::P_PID, self.pid),
            Some(result) => result,
            None => wait(libc::P_PID, self.pid),
        }
        .unwrap_or(Some(End::Unknown))
    }

    fn send_kill(&self) {
        let null = std::ptr::null_mut::<libc::siginfo_t>();
        match &self.pidfd {
            // SAFETY: numbers and no siginfo.
            Some(pidfd) => unsafe {
                libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, null, 0);
            },
            // SAFETY: two numbers. `look` has just found the id to be that of a living child.
            None => unsafe {
                libc::kill(self.pid, libc::SIGKILL);
            },
        }
    }

    fn pause(&self, until: Instant) {
        match &self.pidfd {
            Some(pidfd) if poll(&[pidfd.as_raw_fd()], until).is_ok() => {}
            _ => std::thread::sleep(PAUSE),
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the copy does instead of returning.
fn become_helper<W: FnOnce(UnixStream)>(work: W, socket: UnixStream) -> ! {
    super::signals::abort_plainly();
    prctl::set_name(c"minidump-helper");
    let _ = catch_unwind(AssertUnwindSafe(|| work(socket)));
    // SAFETY: ends the process at once; nothing of the application runs.
    unsafe { libc::_exit(0) }
}

/// Takes the exit status of a child, if there is one.
fn wait(kind: libc::idtype_t, id: i32) -> io::Result<Option<End>> {
    // SAFETY: siginfo_t is plain data; all zeros is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let id = libc::id_t::try_from(id).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `info` is a live siginfo_t. Without waiting, no signal interrupts the call.
    if unsafe { libc::waitid(kind, id, &raw mut info, libc::WEXITED | libc::WNOHANG) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: waitid has filled the child fields, or left the zeros in place.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match (pid, info.si_code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(End::Exited),
        _ => Some(End::Killed(status)),
    })
}

fn open_pidfd(pid: pid_t) -> Option<OwnedFd> {
    let flags: libc::c_uint = 0;
    // SAFETY: two numbers; the result is a new descriptor, closed on exec, or -1.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) };
    let descriptor = i32::try_from(descriptor).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: just made, and nobody else's.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Waits until one of `descriptors` can be read. Negative ones are passed over. False when time is up.
fn poll(descriptors: &[i32], until: Instant) -> io::Result<bool> {
    let mut polled: Vec<libc::pollfd> =
        descriptors.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 }).collect();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // Rounded up: a wait of no time at all would turn the last millisecond into a busy loop.
        let left = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let count = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
        // SAFETY: `polled` holds `count` entries.
        match unsafe { libc::poll(polled.as_mut_ptr(), count, left) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            0 if Instant::now() >= until => return Ok(false),
            0 => {}
            _ => return Ok(true),
        }
    }
}

#[cfg(test)]
mod tests;
