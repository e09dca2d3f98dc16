//! The threads of a process, as /proc/PID/task lists them, and other folders like it.
#![allow(unsafe_code)]

use libc::pid_t;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// Offset of `d_reclen` and of `d_name` in `struct linux_dirent64` (getdents64(2)).
const RECORD_LENGTH: usize = 16;
const NAME: usize = 19;
/// Links of a folder without folders in it.
const OWN_LINKS: u64 = 2;

/// Room for the entries that one call lists, in bytes: several hundred.
const BUFFER_SIZE: usize = 16 << 10;

/// A folder whose entries are numbers, kept open, so that listing it again costs no path walk.
#[derive(Debug)]
pub struct TaskList {
    folder: File,
    buffer: Vec<u8>,
}

impl TaskList {
    /// Opens /proc/PID/task.
    pub fn open(pid: pid_t) -> io::Result<Self> {
        Ok(Self::new(File::open(format!("/proc/{pid}/task"))?))
    }

    /// The entries of `folder`, which is one of /proc.
    pub fn new(folder: File) -> Self {
        Self { folder, buffer: Vec::with_capacity(BUFFER_SIZE) }
    }

    /// The folder itself.
    pub fn folder(&self) -> &File {
        &self.folder
    }

    /// How many threads there are, an exited main thread included, without listing them: the folder has a link for each
    /// and two of its own. `None` where the kernel does not count so.
    pub fn count(&self) -> Option<usize> {
        let links = self.folder.metadata().ok()?.nlink();
        usize::try_from(links.checked_sub(OWN_LINKS)?).ok().filter(|count| *count > 0)
    }

    /// Puts the ids of all threads, or whatever the numbers are, into `ids`, replacing what is there.
    pub fn list(&mut self, ids: &mut Vec<pid_t>) -> io::Result<()> {
        ids.clear();
        io::Seek::rewind(&mut self.folder)?;
        loop {
            self.buffer.clear();
            let (fd, size) = (self.folder.as_raw_fd(), self.buffer.capacity());
            // SAFETY: the buffer is live, exclusive, and has room for `size` bytes.
            let read = unsafe { libc::syscall(libc::SYS_getdents64, fd, self.buffer.as_mut_ptr(), size) };
            let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
            if read == 0 {
                return Ok(());
            }
            // SAFETY: the kernel has written so many bytes, and tells of no more than there was room for.
            unsafe { self.buffer.set_len(read) };
            parse_entries(&self.buffer, ids);
        }
    }
}

fn parse_entries(mut records: &[u8], ids: &mut Vec<pid_t>) {
    while let Some(&[low, high]) = records.get(RECORD_LENGTH..RECORD_LENGTH + 2) {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let Some(record) = records.get(NAME..length) else { return };
        let name = record.split(|byte| *byte == 0).next().unwrap_or_default();
        ids.extend(std::str::from_utf8(name).ok().and_then(|name| name.parse::<pid_t>().ok()));
        records = records.get(length..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_main_thread_is_listed_each_time_and_dots_are_not() {
        let pid = pid_t::try_from(std::process::id()).unwrap();
        let mut list = TaskList::open(pid).unwrap();
        let mut ids = Vec::new();
        for _ in 0..3 {
            list.list(&mut ids).unwrap();
            assert_eq!(ids.iter().filter(|id| **id == pid).count(), 1);
            assert!(ids.iter().all(|id| *id > 0));
        }
    }

    #[test]
    fn threads_are_counted_as_they_come_and_go() {
        let process = std::process::Command::new("sleep").arg("100").spawn();
        let mut process = process.unwrap();
        let list = TaskList::open(pid_t::try_from(process.id()).unwrap()).unwrap();
        assert_eq!(list.count(), Some(1));
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(list.count(), None, "a folder of nobody");
    }

    #[test]
    fn a_record_that_claims_more_than_there_is_ends_the_list() {
        let mut ids = Vec::new();
        parse_entries(&[0xff; 24], &mut ids);
        parse_entries(&[0; 24], &mut ids);
        parse_entries(&[], &mut ids);
        assert!(ids.is_empty(), "{ids:?}");
    }
}
