//! Opening the files of a target without trusting it.
//!
//! A path in the memory map is only what the target's file system said once. By now it may name a FIFO (opening it
//! would block), a device (opening it may act), or another file. So a file is first opened with `O_PATH`, which
//! touches nothing, then must be a regular file and the one that is mapped, and only then is opened for reading, with
//! `O_NONBLOCK`, through the descriptor that was checked. It is read, never mapped: a file that shrinks meanwhile
//! gives short reads and not SIGBUS. As a network or user-space file system may still leave every call hanging, this
//! happens on a helper thread under a deadline.
//!
//! # Safety
//! The one system call without a safe wrapper is openat2(2).
#![expect(unsafe_code, reason = "openat2(2) has no wrapper in the standard library")]

use crate::Pid;
use crate::linux_process::maps::Mapping;
use crate::linux_process::modules::ModuleFiles;
use crate::linux_process::modules::files::{FileError, FileIdentity};
use crate::linux_process::modules::from_file::{self, FileFacts, NoFacts, Sample};
use crate::linux_process::modules::sections::ImageBytes;
use std::ffi::{CString, OsStr};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use worker::Worker;

mod worker;

/// How long one file may take. After the first that takes longer, no other is tried.
const DEADLINE: Duration = Duration::from_secs(2);

/// A regular file of the target, open for reading.
#[derive(Debug)]
pub struct TargetFile {
    file: File,
    size: u64,
    proven: bool,
}

impl TargetFile {
    /// Size in bytes when it was opened.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether device and inode prove that this is the mapped file. Some file systems (btrfs, overlayfs) tell one
    /// device to the memory map and another to stat(2): then only comparing contents with memory tells.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven
    }
}

impl ImageBytes for TargetFile {
    /// An error ends what is read as the end of the file does.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = offset.checked_add(done as u64) else { break };
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                Ok(size) => done += size,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        done
    }
}

/// The file system as one task of the target sees it.
#[derive(Debug)]
pub struct TargetFiles {
    /// /proc/TASK, held open so that the number cannot come to mean another task.
    task: Arc<OwnedFd>,
    deadline: Duration,
    stuck: AtomicBool,
    worker: Worker,
}

impl TargetFiles {
    /// Prepares to open files as `task` sees them: any live thread of the target, as a thread that has exited (the
    /// main thread too) has no file system any more.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn open(task: Pid) -> io::Result<Self> {
        let directory = open_path(Path::new(&format!("/proc/{task}")))?;
        let (stuck, worker) = (AtomicBool::new(false), Worker::default());
        Ok(Self { task: Arc::new(directory), deadline: DEADLINE, stuck, worker })
    }

    /// Opens the file behind `mapping`, whose name decoded is `path`, and has `job` read it on a helper thread.
    ///
    /// # Errors
    /// When the file cannot be had; see [`FileError`].
    pub fn inspect<T, J>(&self, mapping: &Mapping, path: &[u8], job: J) -> Result<T, FileError>
    where
        T: Send + 'static,
        J: FnOnce(&TargetFile) -> T + Send + 'static,
    {
        let (mapping, owned) = (mapping.clone(), path.to_vec());
        self.in_time(path, move |task| locate(task, &mapping, &owned).map(|file| job(&file)))
    }

    /// Reads the first of the `paths` (absolute) that names a regular file in the target's own root: at most `limit` bytes
    /// of it. Where that root is ours as well, its file system is the one that this program runs from, and so needs no
    /// deadline and is not distrusted.
    #[must_use]
    pub fn read_first_in_root(&self, paths: &[&[u8]], limit: usize) -> Option<Vec<u8>> {
        if shares_root(&self.task) {
            return paths.iter().find_map(|path| read_in_own_root(path, limit).ok());
        }
        paths.iter().find_map(|path| {
            let owned = path.to_vec();
            self.in_time(path, move |task| read_in_root(task, &owned, limit)).ok()
        })
    }

    /// Runs `work` on the helper thread and waits for it until the deadline. A thread that hangs is left behind: it
    /// holds nothing but its descriptors and ends when its file system lets it go.
    fn in_time<T, W>(&self, path: &[u8], work: W) -> Result<T, FileError>
    where
        T: Send + 'static,
        W: FnOnce(&OwnedFd) -> Result<T, FileError> + Send + 'static,
    {
        if self.stuck.load(Ordering::Relaxed) {
            return Err(FileError::Stuck { path: printable(path) });
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = Arc::clone(&self.task);
        let job = move || {
            // The receiver is gone when this came too late; then nobody wants the result.
            let _ = sender.send(work(&task));
        };
        self.worker.give(Box::new(job)).map_err(|error| unopened(path, error))?;
        receiver.recv_timeout(self.deadline).unwrap_or_else(|_| {
            self.stuck.store(true, Ordering::Relaxed);
            Err(FileError::Stuck { path: printable(path) })
        })
    }
}

impl ModuleFiles for TargetFiles {
    fn facts(
        &self,
        mapping: &Mapping,
        path: &[u8],
        origins: Vec<u64>,
        sample: Sample,
    ) -> Result<FileFacts, NoFacts> {
        self.inspect(mapping, path, move |file| from_file::read(file, file.is_proven(), &origins, &sample))?
    }

    /// Whether `path` names the file behind `mapping` now, in the target's own root.
    fn still_names(&self, mapping: &Mapping, path: &[u8]) -> bool {
        let (inode, owned) = (mapping.inode, path.to_vec());
        let found = self.in_time(path, move |task| {
            let found = open_in_root(task, &owned).and_then(with_metadata);
            found.map_err(|error| unopened(&owned, error))
        });
        // The device is not compared: on some file systems it differs from the one in the memory map.
        found.is_ok_and(|(_, metadata)| inode != 0 && metadata.ino() == inode)
    }

    /// The name of the file behind `mapping` as the kernel's links tell it, which escape nothing. Needs privilege, but
    /// for the main executable.
    fn exact_name(&self, mapping: &Mapping) -> Option<Vec<u8>> {
        let map_file = format!("map_files/{:x}-{:x}", mapping.start, mapping.end);
        let is_executable = self.executable() == Some((mapping.device, mapping.inode));
        let found = self.in_time(b"/proc/PID/map_files", move |task| {
            let exact = std::fs::read_link(below(task, &map_file));
            let exact = exact.or_else(|error| {
                if is_executable { std::fs::read_link(below(task, "exe")) } else { Err(error) }
            });
            exact.map_err(|error| unopened(map_file.as_bytes(), error))
        });
        found.ok().map(|path| path.into_os_string().into_encoded_bytes())
    }

    /// Device and inode of the main executable.
    fn executable(&self) -> Option<FileIdentity> {
        let found = self.in_time(b"/proc/PID/exe", |task| {
            open_path(&below(task, "exe")).and_then(with_metadata).map_err(|error| unopened(b"exe", error))
        });
        found.ok().map(|(_, metadata)| (device(&metadata), metadata.ino()))
    }
}

/// Whether the root directory of `task` is ours: the same path in the same mount namespace. Only the kernel is asked,
/// no file system of the target.
fn shares_root(task: &OwnedFd) -> bool {
    let namespace = std::fs::read_link(below(task, "ns/mnt"));
    let own = std::fs::read_link("/proc/self/ns/mnt");
    // The kernel tells the path as seen from our own root.
    let root = std::fs::read_link(below(task, "root"));
    root.is_ok_and(|root| root == Path::new("/"))
        && namespace.is_ok_and(|namespace| own.is_ok_and(|own| own == namespace))
}

fn read_in_root(task: &OwnedFd, path: &[u8], limit: usize) -> Result<Vec<u8>, FileError> {
    let found = open_in_root(task, path).and_then(with_metadata);
    let (handle, metadata) = found.map_err(|error| unopened(path, error))?;
    require_regular(&metadata, path)?;
    let file = reopen(&handle, &metadata, true).map_err(|error| unopened(path, error))?;
    Ok(beginning(&file, limit))
}

fn read_in_own_root(path: &[u8], limit: usize) -> Result<Vec<u8>, FileError> {
    let failed = |error| unopened(path, error);
    let mut options = OpenOptions::new();
    let file =
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(OsStr::from_bytes(path));
    let file = file.map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    require_regular(&metadata, path)?;
    Ok(beginning(&TargetFile { file, size: metadata.len(), proven: true }, limit))
}

fn beginning(file: &TargetFile, limit: usize) -> Vec<u8> {
    let mut bytes = vec![0; limit.min(usize::try_from(file.size()).unwrap_or(limit))];
    let done = file.read_at(0, &mut bytes);
    bytes.truncate(done);
    bytes
}

/// How far the inode that a path led to is the mapped one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Same,
    Unproven,
    Other,
}

/// Compares what stat(2) tells with what the memory map tells.
fn compare(metadata: &Metadata, mapping: &Mapping) -> Match {
    match (device(metadata) == mapping.device, metadata.ino() == mapping.inode) {
        (true, true) => Match::Same,
        (true, false) => Match::Other,
        (false, _) => Match::Unproven,
    }
}

/// Finds the file behind `mapping`: first by the kernel's own links, then by name in the target's root, then by name
/// in ours (the kernel prints paths relative to our root when the target has only changed its root directory).
fn locate(task: &OwnedFd, mapping: &Mapping, path: &[u8]) -> Result<TargetFile, FileError> {
    let mut unproven = None;
    let mut refusal = None;
    for route in [Route::MapFiles, Route::Executable, Route::TargetRoot, Route::OwnRoot] {
        let found = route.open(task, mapping, path).and_then(with_metadata);
        let (handle, metadata) = match found {
            Ok(found) => found,
            Err(error) => {
                if route == Route::TargetRoot {
                    refusal.get_or_insert(unopened(path, error));
                }
                continue;
            }
        };
        let by_name = matches!(route, Route::TargetRoot | Route::OwnRoot);
        if let Err(error) = require_regular(&metadata, path) {
            if route != Route::Executable {
                refusal = Some(error);
            }
            continue;
        }
        match route.judge(&metadata, mapping) {
            Match::Same => {
                return reopen(&handle, &metadata, true).map_err(|error| unopened(path, error));
            }
            Match::Unproven => {
                unproven.get_or_insert((handle, metadata));
            }
            Match::Other if by_name => refusal = Some(FileError::Replaced { path: printable(path) }),
            Match::Other => {}
        }
    }
    if let Some((handle, metadata)) = unproven {
        return reopen(&handle, &metadata, false).map_err(|error| unopened(path, error));
    }
    Err(refusal.unwrap_or_else(|| unopened(path, io::ErrorKind::NotFound.into())))
}

/// A way from a mapping to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// /proc/TASK/map_files/START-END: exactly the mapped file; needs privilege.
    MapFiles,
    /// /proc/TASK/exe: the main executable, even when its name is gone.
    Executable,
    /// The path below /proc/TASK/root.
    TargetRoot,
    /// The path in our own root.
    OwnRoot,
}

impl Route {
    fn open(self, task: &OwnedFd, mapping: &Mapping, path: &[u8]) -> io::Result<OwnedFd> {
        match self {
            Self::MapFiles => {
                open_path(&below(task, &format!("map_files/{:x}-{:x}", mapping.start, mapping.end)))
            }
            Self::Executable => open_path(&below(task, "exe")),
            Self::TargetRoot => open_in_root(task, path),
            Self::OwnRoot if path.starts_with(b"/") => open_path(Path::new(OsStr::from_bytes(path))),
            Self::OwnRoot => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn judge(self, metadata: &Metadata, mapping: &Mapping) -> Match {
        let same_inode = metadata.ino() == mapping.inode && mapping.inode != 0;
        match (self, compare(metadata, mapping)) {
            // The kernel's link is the mapped file, unless the map has changed: then the inode differs.
            (Self::MapFiles, Match::Unproven) if same_inode => Match::Same,
            // Whatever is not the executable must not be taken for it, nor a file of our root for the target's.
            (Self::Executable | Self::OwnRoot, Match::Unproven) if !same_inode => Match::Other,
            (_, verdict) => verdict,
        }
    }
}

/// A path through the held directory of the task.
fn below(task: &OwnedFd, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", task.as_raw_fd()))
}

/// Opens `path` without opening what it names: `O_PATH` (open(2)).
fn open_path(path: &Path) -> io::Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags).open(path).map(OwnedFd::from)
}

/// Opens the absolute `path` with `O_PATH`, with all symbolic links resolved inside the root directory of the task.
fn open_in_root(task: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    if !path.starts_with(b"/") {
        return Err(io::ErrorKind::NotFound.into());
    }
    let root = open_path(&below(task, "root/"))?;
    let result = openat2_in_root(&root, path);
    match result.as_ref().err().and_then(io::Error::raw_os_error) {
        // Not there before Linux 5.6, forbidden by some sandboxes, or a ".." that raced with a rename. Without it
        // absolute links lead into our root; the caller's comparison of inodes catches that.
        Some(libc::ENOSYS | libc::EPERM | libc::EAGAIN) => {
            let mut full = below(task, "root").into_os_string();
            full.push(OsStr::from_bytes(path));
            open_path(Path::new(&full))
        }
        _ => result,
    }
}

/// `struct open_how` of <linux/openat2.h>.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// `RESOLVE_NO_MAGICLINKS` | `RESOLVE_IN_ROOT` of <linux/openat2.h>.
const RESOLVE: u64 = 0x02 | 0x10;

fn openat2_in_root(root: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let path = CString::new(path)?;
    let flags = u64::from((libc::O_PATH | libc::O_CLOEXEC).cast_unsigned());
    let how = OpenHow { flags, mode: 0, resolve: RESOLVE };
    // SAFETY: the path is NUL-terminated and `how` has the layout and the size that the call is told; both outlive
    // it, and the kernel only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    };
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned this descriptor, so it is open and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn with_metadata(handle: OwnedFd) -> io::Result<(OwnedFd, Metadata)> {
    let file = File::from(handle);
    let metadata = file.metadata()?;
    Ok((file.into(), metadata))
}

fn require_regular(metadata: &Metadata, path: &[u8]) -> Result<(), FileError> {
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "something else",
    };
    Err(FileError::NotRegular { path: printable(path), kind })
}

/// Opens for reading the regular file that `handle` (`O_PATH`) stands for.
fn reopen(handle: &OwnedFd, metadata: &Metadata, proven: bool) -> io::Result<TargetFile> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    Ok(TargetFile { file, size: metadata.len(), proven })
}

fn device(metadata: &Metadata) -> (u32, u32) {
    (libc::major(metadata.dev()), libc::minor(metadata.dev()))
}

/// The error for `path`, which `source` kept from being opened.
fn unopened(path: &[u8], source: io::Error) -> FileError {
    FileError::Open { path: printable(path), source }
}

fn printable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;
