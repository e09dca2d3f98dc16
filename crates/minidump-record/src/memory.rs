//! Reading our own memory through the kernel, so that no address can make the recorder fault.

use crate::proc_fs::{File, ProcFs};
use crate::sys::{self, Errno};

pub(crate) struct Memory<'a> {
    proc_fs: &'a ProcFs,
    /// Of the thread, not the process: the main thread's memory is gone for the kernel once it has exited.
    tid: i32,
    way: Way,
}

/// How memory is read.
enum Way {
    Call,
    /// /proc/thread-self/mem, where a sandbox refuses `process_vm_readv`.
    File(File),
    None,
}

impl<'a> Memory<'a> {
    pub(crate) fn new(proc_fs: &'a ProcFs) -> Self {
        Self { proc_fs, tid: sys::thread_id(), way: Way::Call }
    }

    /// Fills the buffer from `address` up to the first byte that cannot be read. Returns how many bytes there were.
    pub(crate) fn read(&mut self, address: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0_usize;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let Some(at) = address.checked_add(done as u64) else { break };
            match self.read_some(at, rest) {
                Ok(0) | Err(_) => break,
                Ok(more) => done = done.saturating_add(more.min(rest.len())),
            }
        }
        done
    }

    fn read_some(&mut self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        if matches!(self.way, Way::Call) {
            match sys::read_memory(self.tid, address, buffer) {
                Err(Errno::NOSYS | Errno::PERM) => {
                    let file = self.proc_fs.open(b"/proc/thread-self/mem\0", false);
                    self.way = file.map_or(Way::None, Way::File);
                }
                result => return result,
            }
        }
        let Way::File(file) = &self.way else { return Err(Errno::PERM) };
        sys::pread(file.fd(), buffer, address)
    }
}
