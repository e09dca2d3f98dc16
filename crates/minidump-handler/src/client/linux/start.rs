//! Starts the handler process, or connects to one that runs.

use super::sys;
use crate::client::InstallError;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How to start a handler.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub dump_dir: PathBuf,
    pub arguments: Vec<OsString>,
}

impl Program {
    /// Starts it with `theirs` as its standard input. What is returned is a process that ends as soon as it has made
    /// the handler, which thereby is no child of this one: whoever waits for all its children never meets it.
    pub fn start(&self, theirs: BorrowedFd<'_>) -> Result<Child, InstallError> {
        let failed = |source| InstallError::Start { program: self.path.clone(), source };
        let end = theirs.try_clone_to_owned().map_err(failed)?;
        Command::new(&self.path)
            .arg("handler")
            .arg("--client")
            .arg("-d")
            .arg(&self.dump_dir)
            .args(&self.arguments)
            .stdin(Stdio::from(end))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)
    }
}

/// A new connection: the program's end, and the handler's.
pub fn connection() -> Result<[OwnedFd; 2], InstallError> {
    let ends = sys::pair().ok_or_else(|| InstallError::Connection { source: io::Error::last_os_error() })?;
    // Before the first message, so that none is without its sender.
    if !ends.iter().all(|end| sys::pass_credentials(*end)) {
        let source = io::Error::last_os_error();
        ends.into_iter().for_each(sys::close);
        return Err(InstallError::Connection { source });
    }
    Ok(ends.map(own))
}

/// Connects to a handler that listens at `path`.
pub fn connect(path: &Path) -> Result<OwnedFd, InstallError> {
    let failed = |source| InstallError::Connect { path: path.to_path_buf(), source };
    let socket = crate::server::connect(path).map_err(failed)?;
    if !sys::pass_credentials(socket.as_raw_fd()) {
        return Err(failed(io::Error::last_os_error()));
    }
    Ok(socket)
}

#[expect(unsafe_code, reason = "descriptors that were just made")]
fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just given it to us, and nobody else closes it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Puts `new` in the place of the descriptor `old`, which keeps its number: whoever has read it a moment ago uses the
/// new connection.
#[expect(unsafe_code, reason = "dup3")]
pub fn replace(old: RawFd, new: OwnedFd) -> bool {
    let new = new.into_raw_fd();
    // SAFETY: both are ours; `new` is closed here, `old` lives on.
    let done = unsafe { libc::dup3(new, old, libc::O_CLOEXEC) } >= 0;
    sys::close(new);
    done
}
