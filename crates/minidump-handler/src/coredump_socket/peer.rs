//! Who is at the other end of a connection.
#![expect(unsafe_code, reason = "getsockopt and ioctl")]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

/// Numbers of <linux/pidfd.h>.
const INFO_COREDUMP: u64 = 1 << 4;
const INFO_COREDUMP_SIGNAL: u64 = 1 << 6;
const COREDUMPED: u32 = 1 << 0;
const COREDUMP_ROOT: u32 = 1 << 3;
/// `PIDFS_IOCTL_MAGIC` and the number of `PIDFD_GET_INFO`.
const MAGIC: u32 = 0xff;
const GET_INFO: u32 = 11;

/// `struct pidfd_info` of <linux/pidfd.h> as of Linux 6.19, 80 bytes. An older kernel fills less of it and says in
/// `mask` what.
#[repr(C)]
#[derive(Debug, Default)]
struct Info {
    mask: u64,
    _cgroup: u64,
    _thread: u32,
    process: u32,
    _parent: u32,
    real_user: u32,
    real_group: u32,
    _other_ids: [u32; 6],
    _exit_code: i32,
    coredump_mask: u32,
    coredump_signal: u32,
    _supported_mask: u64,
}

/// A process whose core is being taken.
#[derive(Debug)]
pub struct Peer {
    pidfd: OwnedFd,
    /// Its id, as this process' namespace counts.
    pub pid: i32,
    /// Its real user.
    pub uid: u32,
    /// Its real group.
    pub gid: u32,
    /// The signal, where the kernel tells it here (Linux 6.19).
    pub signal: Option<i32>,
    /// Whether the core is for root's eyes only: the program changed its user, or may not be read by who runs it.
    pub for_root_alone: bool,
}

impl Peer {
    /// The process that has connected, if its core is being taken; `None` for any other. The kernel binds the connection
    /// to the process, so there is nothing to be confused about ids that are given again.
    ///
    /// A process that may open the socket can connect first and crash then. What it sends in the kernel's place is told of
    /// no other process but itself.
    ///
    /// # Errors
    /// When the kernel does not tell: it is older than 6.16, or the process is gone.
    pub fn of(connection: &UnixStream) -> io::Result<Option<Self>> {
        let pidfd = pidfd(connection)?;
        let info = info(&pidfd)?;
        let is_dumping = info.mask & INFO_COREDUMP != 0 && info.coredump_mask & COREDUMPED != 0;
        let pid = i32::try_from(info.process).ok().filter(|pid| *pid > 0);
        let signal = Some(info.coredump_signal).filter(|_| info.mask & INFO_COREDUMP_SIGNAL != 0);
        Ok(pid.filter(|_| is_dumping).map(|pid| Self {
            pidfd,
            pid,
            uid: info.real_user,
            gid: info.real_group,
            signal: signal.and_then(|signal| i32::try_from(signal).ok()),
            for_root_alone: info.coredump_mask & COREDUMP_ROOT != 0,
        }))
    }

    /// Whether it has not been reaped: until then its id, and what was opened by it, is its own.
    #[must_use]
    pub fn is_there(&self) -> bool {
        info(&self.pidfd).is_ok()
    }
}

/// The process that called connect (unix(7), SO_PEERPIDFD).
fn pidfd(connection: &UnixStream) -> io::Result<OwnedFd> {
    let mut descriptor: libc::c_int = -1;
    let mut size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(0);
    // SAFETY: `descriptor` and `size` outlive the call, and `size` is that of `descriptor`.
    let result = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            (&raw mut descriptor).cast(),
            &raw mut size,
        )
    };
    if result != 0 || descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has made this descriptor in the call above, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn info(pidfd: &OwnedFd) -> io::Result<Info> {
    let mut info = Info { mask: INFO_COREDUMP | INFO_COREDUMP_SIGNAL, ..Info::default() };
    // _IOWR of <asm-generic/ioctl.h>: direction, size, magic number, number.
    let size = u32::try_from(size_of::<Info>()).unwrap_or(0);
    let request = 3 << 30 | size << 16 | MAGIC << 8 | GET_INFO;
    #[allow(
        clippy::cast_lossless,
        clippy::cast_possible_wrap,
        reason = "C libraries have types of their own for it"
    )]
    let request = request as libc::Ioctl;
    // SAFETY: the request carries the size of `info`, which outlives the call; the kernel writes no more than that.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), request, &raw mut info) };
    if result == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}
