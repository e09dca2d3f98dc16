//! Where a dump of all memory waits while the process stands still.
//!
//! The thread that takes the dump from the helper stands still with all others, so nothing can go to it meanwhile. The
//! dump goes to a file without a name, and from there to the application's output when the process runs again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Directories that may take the file, best first. To be asked before the fork: the environment has a lock.
///
/// `/var/tmp` comes before `/tmp`, which often is memory.
pub fn places() -> Vec<PathBuf> {
    let asked = std::env::var_os("TMPDIR").map(PathBuf::from).filter(|place| place.is_absolute());
    asked.into_iter().chain([PathBuf::from("/var/tmp"), PathBuf::from("/tmp")]).collect()
}

/// A new file without a name in the first of `places` that can hold one.
///
/// # Errors
/// What the last of them said.
pub fn open(places: &[PathBuf]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    for place in places {
        match options.open(place) {
            Ok(file) => return Ok(file),
            Err(refusal) => error = refusal,
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    #[test]
    fn the_first_place_that_exists_holds_a_file_that_nobody_else_sees() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = open(&["/nowhere/at/all".into(), folder.path().into()]).unwrap();
        file.write_all(b"secret").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "secret");
    }

    #[test]
    fn without_a_place_there_is_an_error() {
        let error = open(&["/nowhere/at/all".into()]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }
}
