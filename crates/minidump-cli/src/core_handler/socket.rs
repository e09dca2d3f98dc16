//! The kernel's coredump socket: where it is, and whether there is one.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What is told of a kernel that has none.
pub const MISSING: &str = "this kernel has no coredump socket, which came with Linux 6.16 (and may be left out with \
                           AF_UNIX); use core-handler --install DIR, which works on all";
/// What the kernel's `kernel.core_pattern` can mean, a word a line (Linux 6.16). An older one takes `@/path` for the name
/// of a file.
const MODES: &str = "/proc/sys/kernel/core_modes";
/// Longest path that the kernel takes: `sun_path` of unix(7), less the terminator.
const LONGEST: usize = 107;

/// Whether this kernel has one.
pub fn is_supported() -> bool {
    std::fs::read_to_string(MODES).is_ok_and(|modes| modes.lines().any(|mode| mode == "socket"))
}

/// What a look at a socket tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Somebody listens.
    Served,
    /// Nobody listens: crashes are lost.
    Deserted,
    /// It is not for this user to know.
    Unknown,
}

/// Looks whether somebody listens at `path`. What is served there turns this process away at once, because its core is
/// not being taken.
pub fn look(path: &Path) -> Found {
    match UnixStream::connect(path) {
        Ok(_) => Found::Served,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Found::Unknown,
        Err(_) => Found::Deserted,
    }
}

/// Where the state of a socket is kept (see [`State`](super::state::State)): beside it.
pub fn state_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

/// Refuses a path that the kernel would not take or not find: it follows no symbolic links on its way.
///
/// # Errors
/// Why, with the way out.
pub fn check(path: &Path) -> Result<(), String> {
    let refused = |why: &str| Err(format!("{} {why}", path.display()));
    let Some(text) = path.to_str() else { return refused("is no UTF-8; choose another path") };
    if !path.is_absolute() {
        return refused("is no absolute path; give one");
    }
    if text.len() > LONGEST {
        return refused(&format!(
            "is longer than the {LONGEST} bytes that a socket's path may have; choose another"
        ));
    }
    if text.contains(|character: char| character.is_control()) || text.split('/').any(|part| part == "..") {
        return refused(
            "has .. or a control character in it, which the kernel does not take; choose another path",
        );
    }
    if path.file_name().is_none() || path.is_dir() {
        return refused("is a directory; give the path of the socket in it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_the_kernel_does_not_take_are_refused() {
        let told = |path: &str| check(Path::new(path)).unwrap_err();
        assert!(told("run/x").contains("no absolute path"));
        assert!(told("/run/../x").contains("has .."));
        assert!(told("/run/a\nb").contains("control character"));
        assert!(told("/proc").contains("is a directory"));
        assert_eq!(check(Path::new(&format!("/{}", "x".repeat(106)))), Ok(()));
        assert!(told(&format!("/{}", "x".repeat(107))).contains("107 bytes"));
        assert_eq!(state_file(Path::new("/run/core.sock")), Path::new("/run/core.sock.json"));
    }

    #[test]
    fn a_socket_without_a_listener_is_deserted() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("core.sock");
        assert_eq!(look(&path), Found::Deserted);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(look(&path), Found::Served);
        drop(listener);
        assert_eq!(look(&path), Found::Deserted);
    }
}
