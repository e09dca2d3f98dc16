//! Files that a program wants kept with its dumps.
//!
//! They are opened with the handler's own rights: a client lets a server know who it is, but not act as its user. So only
//! those of programs of the handler's own user are.

use crate::attachment::{Attachment, FIRST_STREAM, MOST_OF_ALL, MOST_OF_ONE, end_of};
use minidump_writer::snapshot::{SoftError, Stage};
use std::fs::File;
use std::io;
use std::path::{Component, Path, Prefix};

/// Reads the files, if `is_own` says that the program is one of the handler's user. Why others cannot be kept is noted in
/// `errors`.
pub fn read(paths: &[String], is_own: bool, errors: &mut Vec<SoftError>) -> Vec<Attachment> {
    let mut left = MOST_OF_ALL;
    let mut kept = Vec::new();
    let mut stream = FIRST_STREAM;
    for path in paths {
        let file =
            if is_own { open(Path::new(path)) } else { Err(refused("the program is of another user")) };
        match file.and_then(|file| end_of(file, left.min(MOST_OF_ONE))) {
            Ok(contents) => {
                left = left.saturating_sub(u64::try_from(contents.len()).unwrap_or(u64::MAX));
                let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
                kept.push(Attachment { stream, name, contents });
                stream = stream.saturating_add(1);
            }
            Err(error) => {
                let message = format!("the attachment {path} cannot be read: {error}");
                errors.push(SoftError::new(Stage::Target, message));
            }
        }
    }
    kept
}

/// A regular file on a drive. A share would be logged in to, and a device or a pipe may wait.
fn open(path: &Path) -> io::Result<File> {
    let has_drive = match path.components().next() {
        Some(Component::Prefix(prefix)) => {
            matches!(prefix.kind(), Prefix::Disk(_) | Prefix::VerbatimDisk(_)) && path.is_absolute()
        }
        _ => false,
    };
    if !has_drive {
        return Err(refused("its path does not begin with a drive"));
    }
    // Looked at before it is opened, because opening a device may do something.
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(refused("it is no regular file"));
    }
    let file = File::open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused("it is no regular file")) }
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_of_this_user_is_kept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut text = vec![b'a'; 1 << 20];
        text.extend_from_slice(b"the last line\n");
        std::fs::write(&path, &text).unwrap();
        let paths = [
            path.to_str().unwrap().to_owned(),
            r"\\server\share\file".into(),
            r"\\.\pipe\x".into(),
            "relative".into(),
            folder.path().to_str().unwrap().to_owned(),
        ];
        let mut errors = Vec::new();
        let kept = read(&paths, true, &mut errors);
        assert_eq!((kept.len(), kept[0].name.as_str(), kept[0].stream), (1, "app.log", FIRST_STREAM));
        assert_eq!(kept[0].contents, text[14..]);
        assert_eq!(errors.len(), 4);
        assert_eq!(read(&paths, false, &mut errors), []);
        assert_eq!(errors.len(), 9);
        assert!(errors[4].message.contains("another user"), "{}", errors[4].message);
    }
}
