//! Names of files: whether one still stands for an open file, and changing them in one step.

use super::{careful, wide};
use std::fs::{self, File};
use std::io;
use std::os::windows::fs::OpenOptionsExt as _;
use std::os::windows::io::AsRawHandle as _;
use std::path::Path;
use std::time::{Duration, Instant};
use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_ID_INFO,
    FILE_INFO_BY_HANDLE_CLASS, FILE_STANDARD_INFO, FileIdInfo, FileStandardInfo, GetFileInformationByHandle,
    GetFileInformationByHandleEx, MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH, MoveFileExW,
};

/// Virus scanners and indexers open files for an instant, and then may not share them. A rename waits for so long.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(2);

/// Whether the open file still has a name, and is not going to lose it.
pub(in crate::store) fn has_a_name(file: &File) -> bool {
    let mut found = FILE_STANDARD_INFO::default();
    // SAFETY: the class that fills this structure, any bytes of which are valid.
    let told = unsafe { information(file, FileStandardInfo, &mut found) };
    told && found.NumberOfLinks > 0 && !found.DeletePending
}

/// Whether the name still stands for this open file.
pub(in crate::store) fn is_named(file: &File, path: &Path) -> bool {
    let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
    let Ok(named) = careful().access_mode(0).custom_flags(flags).open(path) else { return false };
    match (identity(file), identity(&named)) {
        // Wine does not know the volume of an open file that somebody has renamed, and calls it 0.
        (Some(open), Some(named)) => {
            open.number == named.number && (open.volume == named.volume || open.volume == 0)
        }
        _ => false,
    }
}

/// What no other file has on this machine while the file is open.
struct Identity {
    volume: u64,
    number: [u8; 16],
}

fn identity(file: &File) -> Option<Identity> {
    let mut found = FILE_ID_INFO::default();
    // SAFETY: the class that fills this structure, any bytes of which are valid.
    if unsafe { information(file, FileIdInfo, &mut found) } {
        return Some(Identity { volume: found.VolumeSerialNumber, number: found.FileId.Identifier });
    }
    // File systems with numbers of 64 bits may know only the older question.
    let mut older = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle belongs to `file`, which outlives the call, and `older` is live.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut older) } == 0 {
        return None;
    }
    let number = u128::from(older.nFileIndexHigh) << 32 | u128::from(older.nFileIndexLow);
    Some(Identity { volume: older.dwVolumeSerialNumber.into(), number: number.to_le_bytes() })
}

/// Asks for one class of information. Whether there was an answer.
///
/// # Safety
/// `class` must be the one that fills a `T`, and a `T` of any bytes must be valid.
unsafe fn information<T>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS, into: &mut T) -> bool {
    let size = u32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the handle belongs to `file`, which outlives the call; the system writes at most `size` bytes, of a `T`.
    unsafe {
        GetFileInformationByHandleEx(file.as_raw_handle(), class, std::ptr::from_mut(into).cast(), size) != 0
    }
}

/// Gives a file another name in one step, replacing what has it. A durable one is on the medium when this returns.
pub(in crate::store) fn rename(from: &Path, to: &Path, durable: bool) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let done = if durable { move_through(from, to) } else { fs::rename(from, to) };
        match done {
            Err(error) if is_passing(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}

fn move_through(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (wide(from)?, wide(to)?);
    // SAFETY: two NUL-terminated paths that outlive the call.
    let done = unsafe {
        MoveFileExW(from.as_ptr(), to.as_ptr(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Removes a file. Where others have it open, its name goes at once (`FILE_DISPOSITION_POSIX_SEMANTICS`, which the system
/// uses by itself since Windows 10), or on other file systems when they close it.
pub(in crate::store) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        // One that is about to go cannot be opened any more, by anybody.
        Err(error) if is(&error, ERROR_ACCESS_DENIED) && is_going(path) => {
            Err(io::ErrorKind::NotFound.into())
        }
        Err(error) if is(&error, ERROR_SHARING_VIOLATION) => {
            std::thread::sleep(PAUSE);
            fs::remove_file(path)
        }
        done => done,
    }
}

fn is_going(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| is(&error, ERROR_ACCESS_DENIED))
}

fn is_passing(error: &io::Error) -> bool {
    is(error, ERROR_ACCESS_DENIED) || is(error, ERROR_SHARING_VIOLATION)
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error().map(i32::cast_unsigned) == Some(code)
}

#[cfg(test)]
mod tests {
    use super::super::create_private;
    use super::*;

    #[test]
    fn a_name_stands_for_a_file_until_the_file_is_renamed_or_another_has_the_name() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| place.path().join(name));
        let file = create_private(&first).unwrap();
        assert!(has_a_name(&file) && is_named(&file, &first) && !is_named(&file, &second));
        for durable in [false, true] {
            rename(&first, &second, durable).unwrap();
            assert!(has_a_name(&file) && is_named(&file, &second) && !is_named(&file, &first));
            rename(&second, &first, durable).unwrap();
        }
        rename(&first, &second, false).unwrap();
        let other = create_private(&first).unwrap();
        assert!(is_named(&other, &first) && !is_named(&file, &first));
    }

    #[test]
    fn a_file_that_is_removed_while_it_is_open_is_gone_when_it_is_closed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let file = create_private(&path).unwrap();
        remove_file(&path).unwrap();
        drop(file);
        assert_eq!(remove_file(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(create_private(&path).is_ok());
    }

    #[test]
    fn a_rename_replaces_what_has_the_name() {
        let place = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| place.path().join(name));
        for durable in [false, true] {
            fs::write(&from, b"new").unwrap();
            fs::write(&to, b"older").unwrap();
            rename(&from, &to, durable).unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"new");
            assert!(!from.exists());
        }
    }
}
