//! Open file descriptors: what they are and what they point to.

use super::proc_fs::read_text;
use super::target::Target;
use crate::snapshot::{Handle, HandleKind, SoftError, Stage};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Most descriptors that are listed. A process may have a million; each costs three system calls.
const LIMIT: usize = 16 << 10;

/// Lists the descriptors of `target`, by number.
pub fn handles(target: &Target, soft_errors: &mut Vec<SoftError>) -> Vec<Handle> {
    let folder = target.proc("fd");
    let mut numbers: Vec<u64> = match fs::read_dir(&folder) {
        Ok(entries) => {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        }
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
    numbers.into_iter().filter_map(|number| handle(target, &folder, number)).collect()
}

/// One descriptor; `None` when it has been closed since.
fn handle(target: &Target, folder: &Path, number: u64) -> Option<Handle> {
    let link = folder.join(number.to_string());
    let points_to = fs::read_link(&link).ok()?.into_os_string().into_vec();
    let mode = mode_of(&link);
    let info = read_text(target.proc(&format!("fdinfo/{number}"))).unwrap_or_default();
    let flags = super::proc_fs::status_field(&info, "flags");
    Some(Handle {
        value: number,
        kind: kind(mode, &points_to),
        target: points_to,
        mode,
        open_flags: flags.and_then(|octal| u32::from_str_radix(octal, 8).ok()),
    })
}

/// Mode of what the link points to, without asking a file server that may not answer (AT_STATX_DONT_SYNC).
#[allow(unsafe_code)]
fn mode_of(link: &Path) -> Option<u32> {
    let path = CString::new(link.as_os_str().as_bytes()).ok()?;
    // SAFETY: statx is plain data; all zeros is a valid value.
    let mut facts: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT;
    let wanted = libc::STATX_TYPE | libc::STATX_MODE;
    // SAFETY: the path is a live C string and `facts` a live statx.
    let result = unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, wanted, &raw mut facts) };
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
