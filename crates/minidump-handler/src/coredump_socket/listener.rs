//! The socket that the kernel connects to.
#![expect(unsafe_code, reason = "listen, and the descriptor that systemd hands over")]

use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// The first descriptor that is handed over (sd_listen_fds(3)).
const FIRST: libc::c_int = 3;
/// Most connections that may wait to be accepted: as many as `net.core.somaxconn` allows.
const BACKLOG: libc::c_int = libc::c_int::MAX;

/// Listens at `path`, which only its owner may open. A socket at which nobody listens any more is replaced.
///
/// The kernel connects without waiting: a crash for which there is no room in the queue is lost. So that is as long as
/// the system allows.
///
/// # Errors
/// Those of bind(2), above all `AddrInUse` when somebody listens there, or something that is no socket is there.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && UnixStream::connect(path).is_err_and(refused) {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    lengthen(&listener)?;
    Ok(listener)
}

/// The socket that the service manager listens at for this process, if it does: the first that it hands over.
///
/// # Errors
/// When what is handed over is no such socket, or one for another path.
pub fn activated(path: &Path) -> io::Result<Option<UnixListener>> {
    let told = |name: &str| env::var(name).ok()?.parse::<u32>().ok();
    if told("LISTEN_PID") != Some(std::process::id()) || told("LISTEN_FDS").is_none_or(|count| count == 0) {
        return Ok(None);
    }
    // SAFETY: F_SETFD takes a number and fails for what is no descriptor.
    if unsafe { libc::fcntl(FIRST, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, as the call above shows, and handed over to this process to own.
    let listener = unsafe { UnixListener::from_raw_fd(FIRST) };
    if listener.local_addr()?.as_pathname() != Some(path) {
        let sentence = "the socket that was handed over is another one";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    lengthen(&listener)?;
    Ok(Some(listener))
}

/// Makes the queue as long as the system allows.
fn lengthen(listener: &UnixListener) -> io::Result<()> {
    // SAFETY: listen takes two numbers; the descriptor belongs to `listener`.
    let result = unsafe { libc::listen(listener.as_raw_fd(), BACKLOG) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
