//! Files that a program wants kept with its dumps.
#![expect(unsafe_code, reason = "the file system's view of a thread's user")]

use super::socket::{Sender, name_of};
use crate::attachment::{Attachment, FIRST_STREAM, MOST_OF_ALL, MOST_OF_ONE, end_of};
use minidump_writer::snapshot::{SoftError, Stage};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Reads the files that the sender may read. Why others cannot be kept is noted in `errors`.
pub fn read<'p>(
    paths: impl IntoIterator<Item = &'p Path>,
    sender: Sender,
    errors: &mut Vec<SoftError>,
) -> Vec<Attachment> {
    let mut left = MOST_OF_ALL;
    let mut kept = Vec::new();
    let mut stream = FIRST_STREAM;
    for path in paths {
        match as_user(sender, || open(path)).and_then(|file| end_of(file, left.min(MOST_OF_ONE))) {
            Ok(contents) => {
                left = left.saturating_sub(u64::try_from(contents.len()).unwrap_or(u64::MAX));
                kept.push(Attachment { stream, name: name_of(path), contents });
                stream = stream.saturating_add(1);
            }
            Err(error) => {
                let message = format!("the attachment {} cannot be read: {error}", path.display());
                errors.push(SoftError::new(Stage::Target, message));
            }
        }
    }
    kept
}

/// A regular file; a FIFO does not wait, and a device is not touched.
fn open(path: &Path) -> io::Result<File> {
    if !path.is_absolute() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "its path does not begin at the root"));
    }
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
    }
}

/// Calls `open` with no more rights over files than the sender has. Where this thread cannot take that user's place, it has no
/// other rights than its own anyway, or is refused.
fn as_user<T>(sender: Sender, open: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // SAFETY: they take numbers, and touch this thread's own credentials only, because the system calls are made without
    // the C library, which would change those of all threads.
    unsafe {
        let (user, group) = (libc::geteuid(), libc::getegid());
        if user == sender.uid {
            return open();
        }
        if user != 0 {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the program runs as another user"));
        }
        let mut groups = [0 as libc::gid_t; 1024];
        let count = libc::syscall(libc::SYS_getgroups, groups.len(), groups.as_mut_ptr());
        let nobody = 0_usize;
        if count < 0 || libc::syscall(libc::SYS_setgroups, nobody, groups.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        // These two tell what was before, and never fail loudly: asking again shows what came of it.
        libc::syscall(libc::SYS_setfsgid, sender.gid);
        libc::syscall(libc::SYS_setfsuid, sender.uid);
        let is_user = libc::syscall(libc::SYS_setfsuid, u32::MAX) == i64::from(sender.uid)
            && libc::syscall(libc::SYS_setfsgid, u32::MAX) == i64::from(sender.gid);
        let opened = if is_user { open() } else { Err(io::ErrorKind::PermissionDenied.into()) };
        libc::syscall(libc::SYS_setfsuid, user);
        libc::syscall(libc::SYS_setfsgid, group);
        libc::syscall(libc::SYS_setgroups, count, groups.as_ptr());
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Sender {
        // SAFETY: they take nothing.
        unsafe { Sender { pid: 1, uid: libc::geteuid(), gid: libc::getegid() } }
    }

    #[test]
    fn the_end_of_a_long_file_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut text = vec![b'a'; 1 << 20];
        text.extend_from_slice(b"the last line\n");
        std::fs::write(&path, &text).unwrap();
        let mut errors = Vec::new();
        let kept = read([path.as_path()], me(), &mut errors);
        assert_eq!((kept[0].name.as_str(), kept[0].stream, errors.len()), ("app.log", FIRST_STREAM, 0));
        assert_eq!(kept[0].contents, text[14..]);
    }

    #[test]
    fn what_is_no_file_is_told_and_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
        // SAFETY: the name ends with zero.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let gone = folder.path().join("gone");
        let mut errors = Vec::new();
        let paths = [fifo.as_path(), gone.as_path(), Path::new("relative"), Path::new("/dev/zero")];
        assert_eq!(read(paths, me(), &mut errors), []);
        assert_eq!(errors.len(), 4);
        assert!(errors[0].message.contains("it is no regular file"), "{}", errors[0].message);
    }

    #[test]
    fn a_file_is_read_with_the_rights_of_the_program_alone() {
        if me().uid != 0 {
            eprintln!("left out: only root can take another user's place");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (secret, open) = (folder.path().join("secret"), folder.path().join("open"));
        for (path, mode) in [(folder.path(), 0o755), (&secret, 0o600), (&open, 0o644)] {
            if path != folder.path() {
                std::fs::write(path, b"contents").unwrap();
            }
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        let mut errors = Vec::new();
        let nobody = Sender { pid: 1, uid: 65534, gid: 65534 };
        let kept = read([secret.as_path(), open.as_path()], nobody, &mut errors);
        assert_eq!((kept.len(), kept[0].name.as_str(), errors.len()), (1, "open", 1));
        assert!(std::fs::read(&secret).is_ok(), "this thread is root again");
    }
}
