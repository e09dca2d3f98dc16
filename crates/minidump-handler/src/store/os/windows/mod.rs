//! Access control lists, `LockFileEx`, file ids.
//!
//! Every file is opened with all sharing allowed, which is what lets it be renamed and removed while it is open, and as it
//! is: a reparse point (symbolic link, junction) is opened itself and then is no regular file.
#![expect(
    unsafe_code,
    reason = "the calls of the system that the standard library does not offer in this form"
)]

mod names;
mod private;

use super::Lock;
pub(in crate::store) use names::{has_a_name, is_named, remove_file, rename};
use private::OwnerOnly;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _};
use std::path::{Component, Path, Prefix};
use std::ptr::{from_ref, null_mut};
use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_CREATION_DISPOSITION,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE, LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, OPEN_ALWAYS,
    UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

/// Paths from this length on need a prefix that takes the limit of `MAX_PATH` away; a directory's has to leave room for
/// a name of 12 characters ("Maximum Path Length Limitation").
const LONG: usize = 248;

/// The byte that is locked: far behind the end of any file, as locked bytes can be neither read nor written by others.
/// Locking what is not there is no error (`LockFileEx`).
const LOCKED_BYTE: u64 = 0x7fff_ffff_ffff_fffe;

/// Makes the directory, readable by its owner alone; what is made in it by others of the same user is, too.
pub(in crate::store) fn create_private_directory(path: &Path) -> io::Result<()> {
    let (path, owner_only) = (wide(path)?, OwnerOnly::of_directory()?);
    // SAFETY: a NUL-terminated path, and attributes that outlive the call.
    if unsafe { CreateDirectoryW(path.as_ptr(), &raw const *owner_only.attributes()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Options for what is there, where a link is not followed.
pub(in crate::store) fn careful() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    options
}

/// Makes a file that only its owner may read; the name must be free.
pub(in crate::store) fn create_private(path: &Path) -> io::Result<File> {
    create(path, CREATE_NEW)
}

/// Opens the file for reading and writing, and makes it if it is missing.
pub(in crate::store) fn open_or_create_private(path: &Path) -> io::Result<File> {
    create(path, OPEN_ALWAYS)
}

fn create(path: &Path, how: FILE_CREATION_DISPOSITION) -> io::Result<File> {
    let (path, owner_only) = (wide(path)?, OwnerOnly::of_file()?);
    // SAFETY: a NUL-terminated path, attributes that outlive the call, and no template.
    let handle = unsafe {
        CreateFileW(
            path.as_ptr(),
            GENERIC_READ | GENERIC_WRITE,
            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
            from_ref(owner_only.attributes()),
            how,
            FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT,
            null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this handle, and nothing else owns it.
    Ok(unsafe { File::from_raw_handle(handle) })
}

/// Opens a directory.
pub(in crate::store) fn open_directory(path: &Path) -> io::Result<File> {
    careful().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS).open(path)
}

/// Takes the exclusive lock of the open file, without waiting. The system drops it when the file is closed or its process
/// ends.
pub(in crate::store) fn try_lock(file: &File) -> Lock {
    let mut at = locked_byte();
    let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
    // SAFETY: the handle belongs to `file`, which outlives the call, and `at` is live; a synchronous handle has no call
    // under way when the function returns.
    if unsafe { LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &raw mut at) } != 0 {
        return Lock::Taken;
    }
    let told = io::Error::last_os_error().raw_os_error().map(i32::cast_unsigned);
    match told {
        Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Lock::Held,
        _ => Lock::Unsupported,
    }
}

/// Lets go of a lock.
pub(in crate::store) fn unlock(file: &File) {
    let mut at = locked_byte();
    // SAFETY: as above; that a lock may not be ours is an error that changes nothing.
    unsafe { UnlockFileEx(file.as_raw_handle(), 0, 1, 0, &raw mut at) };
}

fn locked_byte() -> OVERLAPPED {
    let mut at = OVERLAPPED::default();
    at.Anonymous.Anonymous.Offset = LOCKED_BYTE as u32;
    at.Anonymous.Anonymous.OffsetHigh = (LOCKED_BYTE >> 32) as u32;
    at
}

/// Names are in the journal of the file system before the call that changes them returns, where that was asked of
/// [`rename`]; a directory cannot be flushed.
pub(in crate::store) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// The path as the system takes it, with a NUL at its end.
fn wide(path: &Path) -> io::Result<Vec<u16>> {
    let plain = || path.as_os_str().encode_wide();
    if plain().any(|unit| unit == 0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has a NUL in it"));
    }
    let is_long = plain().count() >= LONG;
    let prefix = match path.components().next() {
        Some(Component::Prefix(found)) if is_long => match found.kind() {
            Prefix::Disk(_) => (r"\\?\", 0),
            Prefix::UNC(..) => (r"\\?\UNC", 1),
            _ => ("", 0),
        },
        _ => ("", 0),
    };
    let (prefix, left_out) = prefix;
    Ok(OsStr::new(prefix).encode_wide().chain(plain().skip(left_out)).chain([0]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn a_locked_file_is_read_and_written_by_others_and_locked_by_nobody_else() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let mut mine = create_private(&path).unwrap();
        assert_eq!(try_lock(&mine), Lock::Taken);
        mine.write_all(b"hello").unwrap();
        let mut theirs = careful().read(true).write(true).open(&path).unwrap();
        assert_eq!(try_lock(&theirs), Lock::Held);
        let mut text = String::new();
        theirs.read_to_string(&mut text).unwrap();
        theirs.write_all(b", world").unwrap();
        assert_eq!((text.as_str(), std::fs::read(&path).unwrap()), ("hello", b"hello, world".to_vec()));
        unlock(&mine);
        assert_eq!(try_lock(&theirs), Lock::Taken);
        assert_eq!(try_lock(&mine), Lock::Held);
        drop(theirs);
        assert_eq!(try_lock(&mine), Lock::Taken);
    }

    #[test]
    fn long_paths_get_the_prefix_that_allows_them() {
        let told = |path: &str| {
            let units = wide(Path::new(path)).unwrap();
            assert_eq!(units.last(), Some(&0));
            String::from_utf16(&units[..units.len() - 1]).unwrap()
        };
        let long = "x".repeat(LONG);
        assert_eq!(told(r"C:\short"), r"C:\short");
        assert_eq!(told(&format!(r"C:\{long}")), format!(r"\\?\C:\{long}"));
        assert_eq!(told(&format!(r"\\host\share\{long}")), format!(r"\\?\UNC\host\share\{long}"));
        assert_eq!(told(&format!(r"\\?\C:\{long}")), format!(r"\\?\C:\{long}"));
        assert!(wide(Path::new("a\0b")).is_err());
    }

    #[test]
    fn a_file_below_a_long_path_is_made() {
        let place = tempfile::tempdir().unwrap();
        let mut folder = place.path().to_path_buf();
        for _ in 0..4 {
            folder.push("a".repeat(80));
            create_private_directory(&folder).unwrap();
        }
        create_private(&folder.join("file")).unwrap().write_all(b"deep").unwrap();
        assert_eq!(std::fs::read(folder.join("file")).unwrap(), b"deep");
    }
}
