//! The file a dump goes to: whole under its final name, or not there at all.
//!
//! The bytes go to a file without a name (`O_TMPFILE`, open(2)), or, where the file system knows no such files, to one
//! under a temporary name in the destination's directory. [`DumpFile::commit`] gives it the final name in one step. A
//! dump that fails, or a dumper that is killed, leaves nothing under the final name.
#![cfg_attr(
    any(target_os = "linux", target_os = "android"),
    expect(unsafe_code, reason = "linkat and close, which the standard library does not offer in this form")
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, IsTerminal, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many temporary names are tried before giving up.
const NAME_ATTEMPTS: u32 = 64;

/// Why a dump file cannot be made or finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The destination is a directory.
    #[error("{} is a directory", .path.display())]
    Directory {
        /// The destination.
        path: PathBuf,
    },
    /// The destination is a block device, a socket or the like; a dump would destroy it or cannot go there.
    #[error("{} is neither a regular file nor a pipe nor a character device", .path.display())]
    Unsuitable {
        /// The destination.
        path: PathBuf,
    },
    /// The destination is a terminal.
    #[error("{} is a terminal, and a dump is binary data", .path.display())]
    Terminal {
        /// The destination.
        path: PathBuf,
    },
    /// The destination cannot be looked at or created.
    #[error("cannot create {}: {source}", .path.display())]
    Create {
        /// The destination.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The bytes are written but could not be put under the final name.
    #[error("cannot finish {}: {source}", .path.display())]
    Commit {
        /// The destination.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// Where the bytes are until they are committed.
#[derive(Debug)]
enum Stage {
    /// Already at the destination, which is a pipe or a device.
    Direct,
    /// In a file without a name.
    Nameless,
    /// Under this temporary name.
    Named(PathBuf),
}

/// A file being written. Dropping it without [`DumpFile::commit`] discards it.
///
/// Writes are not buffered. The finished file has mode 0600: a dump holds whatever the process held.
#[derive(Debug)]
pub struct DumpFile {
    file: File,
    path: PathBuf,
    stage: Stage,
}

impl DumpFile {
    /// Opens a dump file whose final name is to be `path`.
    ///
    /// A symbolic link is followed. An existing regular file stays as it is until [`DumpFile::commit`] replaces it. A
    /// pipe or character device (`/dev/null`, `/dev/stdout`) is written to directly; opening a pipe waits for a reader.
    ///
    /// # Errors
    /// [`OutputError`], when `path` is something else or its directory is missing, read-only or full.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, OutputError> {
        let asked = path.as_ref();
        let failed = |source| OutputError::Create { path: asked.to_path_buf(), source };
        let Some((path, found)) = resolve(asked).map_err(failed)? else { return Self::direct(asked) };
        match found {
            Ok(found) if found.is_dir() => Err(OutputError::Directory { path: asked.to_path_buf() }),
            Ok(found) if found.is_file() => Self::staged(path).map_err(failed),
            Ok(found) if takes_a_stream(&found) => Self::direct(asked),
            Ok(_) => Err(OutputError::Unsuitable { path: asked.to_path_buf() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.file_name().is_none() || names_a_directory(asked) {
                    return Err(OutputError::Directory { path: asked.to_path_buf() });
                }
                Self::staged(path).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn direct(path: &Path) -> Result<Self, OutputError> {
        let file = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(path)
            .map_err(|source| OutputError::Create { path: path.to_path_buf(), source })?;
        if file.is_terminal() {
            return Err(OutputError::Terminal { path: path.to_path_buf() });
        }
        Ok(Self { file, path: path.to_path_buf(), stage: Stage::Direct })
    }

    fn staged(path: PathBuf) -> io::Result<Self> {
        if let Some(file) = nameless::create(directory_of(&path)) {
            return Ok(Self { file, path, stage: Stage::Nameless });
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let (name, file) = with_temporary_name(directory_of(&path), |name| options.open(name))?;
        Ok(Self { file, path, stage: Stage::Named(name) })
    }

    /// Whether the bytes go straight into a pipe or device, which cannot be read back.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self.stage, Stage::Direct)
    }

    /// The final name, with symbolic links resolved.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file under its final name, replacing a regular file there. The contents are handed to the file
    /// system, whose late errors (quota, network) are caught; they are not forced to the medium.
    ///
    /// # Errors
    /// [`OutputError`]; nothing is then left of the dump.
    pub fn commit(mut self) -> Result<(), OutputError> {
        let result = self.finish();
        result.map_err(|source| OutputError::Commit { path: self.path.clone(), source })
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.flush()?;
        report_late_errors(&self.file)?;
        if let Stage::Nameless = self.stage {
            // Mostly the name is free; only a file that is to be replaced takes a name in between.
            match nameless::link(&self.file, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                done => return done,
            }
            let directory = directory_of(&self.path);
            let (name, ()) = with_temporary_name(directory, |name| nameless::link(&self.file, name))?;
            self.stage = Stage::Named(name);
        }
        if let Stage::Named(name) = &self.stage {
            fs::rename(name, &self.path)?;
            self.stage = Stage::Direct;
        }
        Ok(())
    }
}

impl Drop for DumpFile {
    fn drop(&mut self) {
        if let Stage::Named(name) = &self.stage {
            // Nothing can be done about a failure here, and the error that led here matters more.
            let _ = fs::remove_file(name);
        }
    }
}

impl Write for DumpFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for DumpFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Follows symbolic links, and looks at what is there. `None` stands for a link out of /dev or /proc (`/dev/stdout`,
/// `/dev/fd/3`): an open file, whatever it is, is written to rather than replaced.
fn resolve(path: &Path) -> io::Result<Option<(PathBuf, io::Result<fs::Metadata>)>> {
    let found = fs::symlink_metadata(path);
    if !found.as_ref().is_ok_and(fs::Metadata::is_symlink) {
        return Ok(Some((path.to_path_buf(), found)));
    }
    let home = fs::canonicalize(directory_of(path))?;
    if home.starts_with("/dev") || home.starts_with("/proc") {
        return Ok(None);
    }
    let path = fs::canonicalize(path)?;
    let found = fs::metadata(&path);
    Ok(Some((path, found)))
}

/// The directory that holds `path`.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether the name can only be that of a directory, whether or not there is one.
fn names_a_directory(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

#[cfg(unix)]
fn takes_a_stream(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    found.file_type().is_fifo() || found.file_type().is_char_device()
}

#[cfg(not(unix))]
fn takes_a_stream(_found: &fs::Metadata) -> bool {
    false
}

/// Calls `make` with fresh names in `directory` until one is free.
fn with_temporary_name<T>(
    directory: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let process = std::process::id();
    for _ in 0..NAME_ATTEMPTS {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
        let name = directory.join(format!(".minidump-{process}-{count}-{nanos:09}.tmp"));
        match make(&name) {
            Ok(made) => return Ok((name, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Closes a second descriptor of the file: network file systems report a full disk or quota only then (close(2)).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn report_late_errors(file: &File) -> io::Result<()> {
    use std::os::fd::IntoRawFd;
    let descriptor = file.try_clone()?.into_raw_fd();
    // SAFETY: the descriptor was made by `try_clone` and given up by `into_raw_fd`, so nothing else owns it.
    match unsafe { libc::close(descriptor) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn report_late_errors(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod nameless {
    use std::ffi::CString;
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    /// A file without a name on the file system of `directory`; `None` when that is not to be had there, or when it
    /// could not be given a name later because /proc is missing.
    pub(super) fn create(directory: &Path) -> Option<File> {
        let mut options = OpenOptions::new();
        let file = options.write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(directory).ok()?;
        Path::new(&own_name(&file)).exists().then_some(file)
    }

    /// Gives the file a name that must be free (linkat(2), the way its notes tell for `O_TMPFILE`).
    pub(super) fn link(file: &File, name: &Path) -> io::Result<()> {
        let from = CString::new(own_name(file))?;
        let to = CString::new(name.as_os_str().as_bytes())?;
        // SAFETY: both are NUL-terminated strings that outlive the call; the kernel only reads them.
        let result = unsafe {
            libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW)
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn own_name(file: &File) -> String {
        format!("/proc/self/fd/{}", file.as_raw_fd())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod nameless {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn create(_directory: &Path) -> Option<File> {
        None
    }

    pub(super) fn link(_file: &File, _name: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn entries(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Both ways of staging: what the file system offers, and a temporary name.
    const WAYS: [fn(&Path) -> DumpFile; 2] = [|path| DumpFile::create(path).unwrap(), named];

    /// A file under a temporary name, as on a file system without `O_TMPFILE`.
    fn named(path: &Path) -> DumpFile {
        let (name, file) = with_temporary_name(directory_of(path), |name| File::create_new(name)).unwrap();
        DumpFile { file, path: path.to_path_buf(), stage: Stage::Named(name) }
    }

    #[test]
    fn a_committed_file_has_its_contents_its_name_and_is_private() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.dmp");
        let mut file = DumpFile::create(&path).unwrap();
        assert!(!file.is_direct());
        file.write_all(b"XXXXhello").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"MDMP").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"MDMPhello");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(entries(place.path()), ["a.dmp"]);
    }

    #[test]
    fn pieces_are_written_together() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.dmp");
        let mut file = DumpFile::create(&path).unwrap();
        assert_eq!(file.write_vectored(&[IoSlice::new(b"MDMP"), IoSlice::new(b"hello")]).unwrap(), 9);
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"MDMPhello");
    }

    #[test]
    fn an_existing_file_is_kept_until_commit_and_replaced_by_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.dmp");
        fs::write(&path, b"older and longer").unwrap();
        for (make, text) in WAYS.into_iter().zip([b"first", b"again"]) {
            let before = fs::read(&path).unwrap();
            let mut file = make(&path);
            file.write_all(text).unwrap();
            assert_eq!(fs::read(&path).unwrap(), before);
            file.commit().unwrap();
            assert_eq!(fs::read(&path).unwrap(), text);
            assert_eq!(entries(place.path()), ["a.dmp"]);
        }
    }

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.dmp");
        for make in WAYS {
            let mut file = make(&path);
            file.write_all(b"half").unwrap();
            drop(file);
            assert_eq!(entries(place.path()), [""; 0]);
        }
    }

    #[test]
    fn directories_and_names_of_directories_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("new/");
        for path in [place.path(), inside.as_path(), Path::new("/"), Path::new("..")] {
            let error = DumpFile::create(path).unwrap_err();
            assert!(matches!(error, OutputError::Directory { .. }), "{error}");
        }
        assert_eq!(entries(place.path()), [""; 0]);
    }

    #[test]
    fn a_directory_that_appears_under_the_final_name_fails_the_commit_and_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.dmp");
        for make in WAYS {
            let mut file = make(&path);
            file.write_all(b"whole").unwrap();
            fs::create_dir(&path).unwrap();
            let error = file.commit().unwrap_err();
            assert!(matches!(error, OutputError::Commit { .. }), "{error}");
            assert_eq!(entries(place.path()), ["a.dmp"]);
            fs::remove_dir(&path).unwrap();
        }
    }

    #[test]
    fn a_missing_and_an_unwritable_directory_are_told() {
        let place = tempfile::tempdir().unwrap();
        let missing = place.path().join("no/a.dmp");
        // Not even root may create files in sysfs.
        for path in [missing.as_path(), Path::new("/sys/a.dmp")] {
            let error = DumpFile::create(path).unwrap_err();
            let OutputError::Create { path: told, source } = &error else { panic!("{error}") };
            assert_eq!(told, path);
            assert!(source.raw_os_error().is_some());
        }
        assert_eq!(entries(place.path()), [""; 0]);
    }

    #[test]
    fn a_symbolic_link_is_followed_and_stays_a_link() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().join("real.dmp");
        let link = place.path().join("link.dmp");
        fs::write(&real, b"old").unwrap();
        symlink(&real, &link).unwrap();
        let mut file = DumpFile::create(&link).unwrap();
        file.write_all(b"new").unwrap();
        file.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
    }

    #[test]
    fn a_link_to_an_open_file_is_written_to_and_never_replaced() {
        use std::os::fd::AsRawFd;
        let mut open = tempfile::tempfile().unwrap();
        let link = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        let mut file = DumpFile::create(&link).unwrap();
        assert!(file.is_direct());
        file.write_all(b"through").unwrap();
        file.commit().unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut open, &mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn character_devices_are_written_to_directly_and_a_full_one_says_so() {
        let mut null = DumpFile::create("/dev/null").unwrap();
        null.write_all(b"gone").unwrap();
        null.commit().unwrap();
        let mut full = DumpFile::create("/dev/full").unwrap();
        let error = full.write_all(b"too much").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        drop(full);
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }

    #[test]
    fn a_pipe_is_written_to_directly() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || fs::read(path).unwrap()
        });
        let mut file = DumpFile::create(&path).unwrap();
        file.write_all(b"streamed").unwrap();
        file.commit().unwrap();
        assert_eq!(reader.join().unwrap(), b"streamed");
        assert_eq!(entries(place.path()), ["pipe"]);
    }

    #[test]
    fn a_socket_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(DumpFile::create(&path).unwrap_err(), OutputError::Unsuitable { .. }));
    }

    /// Runs this very test again in a process whose files may not grow past 1 KiB, the nearest thing to a full disk
    /// that needs no privilege.
    #[test]
    fn a_write_past_the_limit_fails_and_leaves_nothing() {
        const PLACE: &str = "DUMP_FILE_TEST_PLACE";
        if let Some(place) = std::env::var_os(PLACE) {
            let path = Path::new(&place).join("a.dmp");
            for make in WAYS {
                let mut file = make(&path);
                assert_eq!(file.write_all(&[7; 8192]).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
            }
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let script = r#"trap "" XFSZ; ulimit -f 1; exec "$0" --exact "$1""#;
        let name = "output::tests::a_write_past_the_limit_fails_and_leaves_nothing";
        let test = std::env::current_exe().unwrap();
        let output = std::process::Command::new("sh")
            .args(["-c", script])
            .arg(test)
            .arg(name)
            .env(PLACE, place.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        assert_eq!(entries(place.path()), [""; 0]);
    }
}
