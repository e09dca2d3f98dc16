//! `--listen`: a process that stays, and serves the kernel's coredump socket.

use super::install::{prepared, without_links};
use super::socket;
use super::state::{check_private, check_way};
use crate::args::CoreHandlerArguments;
use crate::exit::Failure;
use crate::text;
use minidump_handler::coredump_socket;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the dumps go when nothing else is said.
const USUAL_DIRECTORY: &str = "/var/lib/minidump-writer";
/// Crashes that are dumped at a time. More processors than these would not be faster, as each dump waits for memory and
/// disk; a few that hang until their deadline leave the others room. Further processes wait in the queue of the socket.
const MOST: usize = 32;
/// What a service manager tells a process that it hands sockets to (sd_listen_fds(3)); it is not for others.
const ACTIVATION: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// Serves the socket at `path` until the process is ended.
///
/// # Errors
/// Why it cannot, in a sentence.
pub fn run(path: &Path, arguments: &CoreHandlerArguments) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("{} cannot be served: {error}", path.display()));
    if !socket::is_supported() {
        return Err(Failure::Failed(socket::MISSING.into()));
    }
    let directory = arguments.dumps.clone().unwrap_or_else(|| PathBuf::from(USUAL_DIRECTORY));
    let directory = prepared(&directory).map_err(Failure::Failed)?;
    coredump_socket::make_no_core_of_this_process().map_err(failed)?;
    let (path, listener) = listener(path).map_err(Failure::Failed)?;
    let sentence = format!("crashes that come to {} are dumped to {}", path.display(), directory.display());
    text::complain("", &sentence);
    let mut start = |connection: &UnixStream| worker(&path, &directory, arguments, connection);
    let mut tell = |sentence: &str| text::complain("error", sentence);
    Err(failed(coredump_socket::serve(&listener, MOST, &mut start, &mut tell)))
}

/// The socket, and its path without symbolic links.
fn listener(path: &Path) -> Result<(PathBuf, UnixListener), String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("somebody serves {} already, or it is no socket; choose another path", path.display())
        }
        _ => format!("{} cannot be listened at: {error}", path.display()),
    };
    socket::check(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
    let path = without_links(path)?;
    check_private(path.parent().unwrap_or(Path::new("/")))?;
    check_way(&path)?;
    let listener = match coredump_socket::activated(&path).map_err(failed)? {
        Some(listener) => listener,
        None => coredump_socket::listen(&path).map_err(failed)?,
    };
    Ok((path, listener))
}

/// Starts this program again for one crash: one that goes wrong or takes too much costs no other, and all of its memory
/// is the system's again when it is done.
fn worker(
    path: &Path,
    directory: &Path,
    arguments: &CoreHandlerArguments,
    connection: &UnixStream,
) -> io::Result<Child> {
    // Not by its path, at which there may be a newer version by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg("core-handler").arg("--serve").arg(path).arg("-d").arg(directory);
    command.arg("--deadline").arg(format!("{}ms", arguments.deadline.as_millis()));
    if let Some(pattern) = &arguments.pass_to {
        command.arg("--pass-to").arg(pattern);
    }
    for name in ACTIVATION {
        command.env_remove(name);
    }
    command.stdin(Stdio::from(connection.as_fd().try_clone_to_owned()?)).stdout(Stdio::null());
    command.current_dir("/").spawn()
}
