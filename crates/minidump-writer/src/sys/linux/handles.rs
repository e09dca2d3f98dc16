//! Open file descriptors: what they are and what they point to.

#![allow(unsafe_code)]

use super::proc_fs::{read_below, status_field};
use super::target::Target;
use super::task_list::TaskList;
use crate::snapshot::{Handle, HandleKind, SoftError, Stage};
use libc::c_int;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// Most descriptors that are listed. A process may have a million; each costs five system calls.
const LIMIT: usize = 16 << 10;
/// Room for what is looked at of /proc/PID/fdinfo/FD: the flags are in its second line.
const INFO_SIZE: usize = 256;

/// `PATH_MAX` (<linux/limits.h>); the kernel makes no longer one.
const LONGEST_PATH: usize = 4096;

/// Lists the descriptors of `target`, by number.
pub fn handles(target: &Target, soft_errors: &mut Vec<SoftError>) -> Vec<Handle> {
    let listed = Folders::open(target).and_then(|mut folders| Ok((folders.numbers()?, folders)));
    let (mut numbers, folders) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let soft = SoftError::new(Stage::Handles, "the file descriptors could not be listed");
            soft_errors.push(soft.os_error(error.raw_os_error()));
            return Vec::new();
        }
    };
    numbers.sort_unstable();
    if numbers.len() > LIMIT {
        let message = format!("{} file descriptors are open, the first {LIMIT} are listed", numbers.len());
        soft_errors.push(SoftError::new(Stage::Handles, message));
        numbers.truncate(LIMIT);
    }
    numbers.into_iter().filter_map(|number| folders.handle(number)).collect()
}

/// /proc/PID/fd and fdinfo, held open, so that not every name is walked from the root.
struct Folders {
    fd: TaskList,
    /// A sandbox may hide this one alone.
    fdinfo: Option<File>,
}

impl Folders {
    fn open(target: &Target) -> io::Result<Self> {
        let fd = TaskList::new(File::open(target.proc("fd"))?);
        Ok(Self { fd, fdinfo: File::open(target.proc("fdinfo")).ok() })
    }

    /// The numbers of all descriptors.
    fn numbers(&mut self) -> io::Result<Vec<c_int>> {
        let mut numbers = Vec::new();
        self.fd.list(&mut numbers)?;
        Ok(numbers)
    }

    /// One descriptor; `None` when it has been closed since.
    fn handle(&self, number: c_int) -> Option<Handle> {
        let name = CString::new(number.to_string()).ok()?;
        let points_to = link_target(self.fd.folder(), &name)?;
        let mode = mode_of(self.fd.folder(), &name);
        let mut room = [0; INFO_SIZE];
        let info = self.fdinfo.as_ref().and_then(|folder| read_below(folder, &name, &mut room).ok());
        let flags = info.and_then(|info| status_field(info, "flags"));
        Some(Handle {
            value: u64::from(number.unsigned_abs()),
            kind: kind(mode, &points_to),
            target: points_to,
            mode,
            open_flags: flags.and_then(|octal| u32::from_str_radix(octal, 8).ok()),
        })
    }
}

/// Where the symbolic link `name` of `folder` leads.
fn link_target(folder: &File, name: &CStr) -> Option<Vec<u8>> {
    let mut path = [0_u8; LONGEST_PATH];
    // SAFETY: the name is a live C string; the buffer is live, exclusive and of the length given.
    let size =
        unsafe { libc::readlinkat(folder.as_raw_fd(), name.as_ptr(), path.as_mut_ptr().cast(), path.len()) };
    path.get(..usize::try_from(size).ok()?).map(<[u8]>::to_vec)
}

/// Mode of what the link `name` of `folder` points to, without asking a file server that may not answer
/// (`AT_STATX_DONT_SYNC`).
fn mode_of(folder: &File, name: &CStr) -> Option<u32> {
    // SAFETY: statx is plain data; all zeros is a valid value.
    let mut facts: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT;
    let wanted = libc::STATX_TYPE | libc::STATX_MODE;
    // SAFETY: the name is a live C string and `facts` a live statx.
    let result = unsafe { libc::statx(folder.as_raw_fd(), name.as_ptr(), flags, wanted, &raw mut facts) };
    (result == 0).then(|| facts.stx_mode.into())
}

fn kind(mode: Option<u32>, points_to: &[u8]) -> HandleKind {
    if points_to.starts_with(b"anon_inode:") {
        return HandleKind::Anonymous;
    }
    match mode.unwrap_or(0) & libc::S_IFMT {
        libc::S_IFREG => HandleKind::File,
        libc::S_IFDIR => HandleKind::Directory,
        libc::S_IFLNK => HandleKind::SymbolicLink,
        libc::S_IFCHR => HandleKind::CharacterDevice,
        libc::S_IFBLK => HandleKind::BlockDevice,
        libc::S_IFIFO => HandleKind::Fifo,
        libc::S_IFSOCK => HandleKind::Socket,
        _ => HandleKind::Unknown,
    }
}
