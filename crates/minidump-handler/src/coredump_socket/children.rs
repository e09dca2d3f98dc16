//! Processes that work, each on one crash.
#![expect(unsafe_code, reason = "pidfd_open and poll")]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::Child;
use std::time::Duration;

/// Children that run.
#[derive(Debug, Default)]
pub struct Children(Vec<(Child, Option<OwnedFd>)>);

impl Children {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes a child in. Without a descriptor of it, its end is noticed at the next event, no later than after a pause.
    pub fn add(&mut self, child: Child) {
        let descriptor = pidfd(&child).ok();
        self.0.push((child, descriptor));
    }

    /// Waits until a connection can be accepted, if there is a `listener`, or a child has ended, or for `longest`. Children
    /// that have ended are reaped. Returns whether there is a connection.
    pub fn wait(&mut self, listener: Option<&UnixListener>, longest: Option<Duration>) -> io::Result<bool> {
        let all_are_known = self.0.iter().all(|(_, descriptor)| descriptor.is_some());
        let longest = longest.or_else(|| (!all_are_known).then_some(PAUSE));
        let mut polled: Vec<libc::pollfd> =
            self.0.iter().filter_map(|(_, descriptor)| descriptor.as_ref()).map(entry).collect();
        polled.extend(listener.map(entry));
        poll(&mut polled, longest)?;
        let is_ready = polled.last().is_some_and(|last| last.revents != 0);
        self.0.retain_mut(|(child, _)| matches!(child.try_wait(), Ok(None)));
        Ok(listener.is_some() && is_ready)
    }
}

/// How long to wait for what has no event, or before something that failed is tried again.
pub const PAUSE: Duration = Duration::from_millis(100);

fn entry(descriptor: &impl std::os::fd::AsFd) -> libc::pollfd {
    let descriptor: BorrowedFd<'_> = descriptor.as_fd();
    libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

fn poll(polled: &mut [libc::pollfd], longest: Option<Duration>) -> io::Result<()> {
    let milliseconds =
        longest.map_or(-1, |longest| libc::c_int::try_from(longest.as_millis()).unwrap_or(libc::c_int::MAX));
    let count = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
    // SAFETY: `polled` outlives the call and has as many entries as said.
    let result = unsafe { libc::poll(polled.as_mut_ptr(), count, milliseconds) };
    let error = io::Error::last_os_error();
    if result < 0 && error.kind() != io::ErrorKind::Interrupted { Err(error) } else { Ok(()) }
}

/// A descriptor that becomes readable when the child ends (pidfd_open(2)).
fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let flags: libc::c_uint = 0;
    // SAFETY: the call takes two numbers.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), flags) };
    match libc::c_int::try_from(descriptor) {
        // SAFETY: the kernel has just made it, and nobody else knows of it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
