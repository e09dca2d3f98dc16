//! Files of /proc, opened although the process may have no descriptor left, or no /proc in its root any more.

use crate::sys::{self, Errno};
use core::sync::atomic::{AtomicI32, Ordering};

/// `AT_FDCWD` of `<linux/fcntl.h>`.
const CURRENT_FOLDER: i32 = -100;
const NONE: i32 = -1;

/// Two descriptors that are opened while all is well: /proc itself, which stays reachable after a chroot, and a spare
/// one, which makes room when the process is out of descriptors.
#[derive(Debug)]
pub(crate) struct ProcFs {
    folder: i32,
    spare: AtomicI32,
    spare_identity: (u64, u64),
}

impl ProcFs {
    pub(crate) fn new() -> Self {
        let open = || sys::open_at(CURRENT_FOLDER, b"/proc\0", true).unwrap_or(NONE);
        let (folder, spare) = (open(), open());
        let spare_identity = sys::identity(spare).unwrap_or_default();
        Self { folder, spare: AtomicI32::new(spare), spare_identity }
    }

    /// Opens the file or folder `path` below /proc. `path` begins with `/proc/` and ends with a zero byte.
    pub(crate) fn open(&self, path: &[u8], is_directory: bool) -> Result<File, Errno> {
        match self.try_open(path, is_directory) {
            Err(Errno::MFILE | Errno::NFILE) if self.free_spare() => self.try_open(path, is_directory),
            result => result,
        }
    }

    fn try_open(&self, path: &[u8], is_directory: bool) -> Result<File, Errno> {
        let below = path.strip_prefix(b"/proc/").unwrap_or(path);
        let opened = match sys::open_at(self.folder, below, is_directory) {
            Err(Errno::MFILE) => Err(Errno::MFILE),
            // The program may have closed our descriptor, or given its number to another file.
            Err(_) => sys::open_at(CURRENT_FOLDER, path, is_directory),
            opened => opened,
        };
        opened.map(File)
    }

    /// Gives the spare descriptor up, if it is still ours.
    fn free_spare(&self) -> bool {
        let spare = self.spare.swap(NONE, Ordering::Relaxed);
        let is_ours = spare != NONE && sys::identity(spare) == Ok(self.spare_identity);
        if is_ours {
            sys::close(spare);
        }
        is_ours
    }
}

impl Drop for ProcFs {
    fn drop(&mut self) {
        self.free_spare();
        if sys::identity(self.folder) == Ok(self.spare_identity) {
            sys::close(self.folder);
        }
    }
}

/// An open file of /proc.
#[derive(Debug)]
pub(crate) struct File(i32);

impl File {
    pub(crate) fn fd(&self) -> i32 {
        self.0
    }

    /// Bytes read, 0 at the end of the file.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut result = sys::read(self.0, buffer);
        // Reading /proc is not interrupted in practice; if it is, a few more attempts do no harm.
        for _ in 0..4 {
            if result != Err(Errno::INTR) {
                break;
            }
            result = sys::read(self.0, buffer);
        }
        result
    }

    /// Fills the buffer as far as the file goes. An error is the end.
    pub(crate) fn fill(&self, buffer: &mut [u8]) -> usize {
        let mut used = 0_usize;
        while let Some(rest) = buffer.get_mut(used..).filter(|rest| !rest.is_empty()) {
            match self.read(rest) {
                Ok(0) | Err(_) => break,
                Ok(more) => used = used.saturating_add(more),
            }
        }
        used
    }
}

impl Drop for File {
    fn drop(&mut self) {
        sys::close(self.0);
    }
}
