//! Files in directories whose contents may be hostile: no link is followed, nothing but regular files is opened, and
//! reading has a limit.

use super::os;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

/// How much of a file is covered with white space; what is longer was not written here.
const MOST_REST: u64 = 1 << 20;

/// Opens a regular file for reading and, where `write` is set, writing. Everything else is an error.
pub(super) fn open_regular(path: &Path, write: bool) -> io::Result<File> {
    let file = os::careful().read(true).write(write).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// The contents of a regular file of at most `limit` bytes.
pub(super) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path, false)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

/// Opens a regular file for reading and writing, and makes it if it is missing.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    match open_regular(path, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => os::create_private(path),
        opened => opened,
    }
}

/// Writes JSON over what a file holds. White space goes over the rest of what was longer before the end is cut off, so
/// that there is no instant with a rest that is no JSON.
pub(super) fn overwrite(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    let end = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let rest = file.metadata()?.len().saturating_sub(end).min(MOST_REST);
    let mut padded = bytes.to_vec();
    padded.resize(padded.len().saturating_add(usize::try_from(rest).unwrap_or(0)), b' ');
    file.rewind()?;
    file.write_all(&padded)?;
    file.set_len(end)
}

/// The length of a regular file; `None` when there is no such file.
pub(super) fn regular_len(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
}

/// Removes a regular file. Whether there was one.
pub(super) fn remove_regular(path: &Path) -> io::Result<bool> {
    if regular_len(path).is_none() {
        return Ok(false);
    }
    match os::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the error says that there is no room: a full disk or a used-up quota of the file system.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_is_read_and_one_past_it_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, b"12345678").unwrap();
        assert_eq!(read_limited(&path, 8).unwrap(), b"12345678");
        assert_eq!(read_limited(&path, 7).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_written_over_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        for text in [&b"[1, 2, 3]"[..], b"[]", b"[1, 2]"] {
            overwrite(&open_or_create(&path).unwrap(), text).unwrap();
            assert_eq!(fs::read(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_name_that_is_taken_is_not_written_over() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, b"here").unwrap();
        assert_eq!(os::create_private(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"here");
    }

    #[cfg(unix)]
    #[test]
    fn links_fifos_and_directories_are_neither_read_nor_removed() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::write(at("file"), b"kept").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        for name in ["link", "directory", "fifo"] {
            assert!(read_limited(&at(name), 100).is_err(), "{name}");
            assert_eq!(regular_len(&at(name)), None, "{name}");
            assert!(!remove_regular(&at(name)).unwrap(), "{name}");
            assert!(fs::symlink_metadata(at(name)).is_ok(), "{name}");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"kept");
        assert!(remove_regular(&at("file")).unwrap());
        assert!(!at("file").exists());
    }
}
