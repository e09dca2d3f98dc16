//! Reading the memory of another process.
#![allow(unsafe_code)]

use super::ptrace;
use crate::snapshot::{MemorySource, ReadEnd, ReadOutcome, ReadRequest};
use libc::{c_ulong, c_void, pid_t};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Most vectors that one `process_vm_readv` takes (IOV_MAX, <limits.h>).
const VECTORS: usize = 1024;

/// Memory of a process: `process_vm_readv`, then /proc/PID/mem, then PTRACE_PEEKDATA.
///
/// The first is fastest and reads many places at once. The second also reads pages that the target itself may not,
/// and works where a sandbox forbids the first. The last works whenever the process is traced at all.
#[derive(Debug)]
pub struct ProcessMemory {
    tid: pid_t,
    file: Option<File>,
    traced: bool,
    vectored: Cell<bool>,
}

impl ProcessMemory {
    /// Memory seen through the live thread `tid`; `file` is its open /proc/…/mem. `traced` says that the calling
    /// thread has it stopped.
    pub fn new(tid: pid_t, file: Option<File>, traced: bool) -> Self {
        Self { tid, file, traced, vectored: Cell::new(true) }
    }

    /// The same memory, where /proc/PID/mem could be opened without `process_vm_readv`: for reading much of it.
    ///
    /// That call pins the pages it reads, and for this copies each page that a process shares with the one it was forked
    /// from (`FAULT_FLAG_UNSHARE`, since Linux 5.19): reading all memory of a copy, or of a server that forks its workers,
    /// would double what they take. Reads of the file leave pages shared, and are at least twice as fast for large ranges.
    pub fn for_bulk_reads(self) -> Self {
        self.vectored.set(self.file.is_none());
        self
    }

    /// One `process_vm_readv` of up to [`VECTORS`] requests; returns the bytes that came in all.
    fn read_vectored(&self, requests: &mut [ReadRequest<'_>]) -> io::Result<usize> {
        if !self.vectored.get() {
            return Err(io::Error::from_raw_os_error(libc::ENOSYS));
        }
        let mut local = Vec::with_capacity(requests.len().min(VECTORS));
        let mut remote = Vec::with_capacity(requests.len().min(VECTORS));
        for request in requests.iter_mut().take(VECTORS) {
            let iov_len = request.buffer.len();
            local.push(libc::iovec { iov_base: request.buffer.as_mut_ptr().cast::<c_void>(), iov_len });
            // The kernel only compares and translates this address; it is never used as a pointer here.
            let iov_base =
                std::ptr::without_provenance_mut(usize::try_from(request.address).unwrap_or(usize::MAX));
            remote.push(libc::iovec { iov_base, iov_len });
        }
        let (locals, remotes) = (local.len() as c_ulong, remote.len() as c_ulong);
        // SAFETY: each local vector is a live, exclusive buffer of the length given; the remote ones are addresses in
        // another process, which the kernel checks.
        let read =
            unsafe { libc::process_vm_readv(self.tid, local.as_ptr(), locals, remote.as_ptr(), remotes, 0) };
        usize::try_from(read).map_err(|_| {
            let error = io::Error::last_os_error();
            if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) {
                self.vectored.set(false);
            }
            error
        })
    }

    fn read_file(&self, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.file, i64::try_from(address)) {
            (Some(file), Ok(_)) => file.read_at(buffer, address),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }

    fn read_word(&self, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.traced {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // Aligned words never straddle a page, so an unreadable neighbour does not hide readable bytes.
        let aligned = address & !7;
        let skip = usize::try_from(address - aligned).unwrap_or(0);
        let word = ptrace::peek_data(self.tid, usize::try_from(aligned).unwrap_or(usize::MAX))?;
        let bytes = word.get(skip..).unwrap_or_default();
        let size = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..size), bytes.get(..size)) {
            to.copy_from_slice(from);
        }
        Ok(size)
    }

    /// Reads on by every means until the buffer is full or none yields a byte.
    fn read_on(&self, address: u64, buffer: &mut [u8], mut done: usize) -> ReadOutcome {
        let mut last_error = None;
        loop {
            let Some(at) = address.checked_add(done as u64) else {
                return ReadOutcome::unreadable(done, last_error);
            };
            let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) else {
                return ReadOutcome::complete(done);
            };
            let read = self
                .read_vectored(&mut [ReadRequest::new(at, rest)])
                .or_else(|_| self.read_file(at, rest))
                .and_then(|read| if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) })
                .or_else(|_| self.read_word(at, rest));
            match read {
                Ok(read) if read > 0 => done += read,
                Ok(_) => return ReadOutcome::unreadable(done, last_error),
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) && self.is_gone() => {
                    return ReadOutcome { done, end: ReadEnd::Gone };
                }
                Err(error) => {
                    last_error = error.raw_os_error();
                    return ReadOutcome::unreadable(done, last_error);
                }
            }
        }
    }

    fn is_gone(&self) -> bool {
        // SAFETY: signal 0 only asks whether the thread exists.
        let result = unsafe { libc::kill(self.tid, 0) };
        result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
    }
}

impl MemorySource for ProcessMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        self.read_on(address, buffer, 0)
    }

    fn read_batch(&self, requests: &mut [ReadRequest<'_>]) {
        let mut rest = requests;
        while !rest.is_empty() {
            let mut came = self.read_vectored(rest).unwrap_or(0);
            let mut finished = 0;
            for request in rest.iter_mut().take(VECTORS) {
                let size = request.buffer.len();
                finished += 1;
                if came >= size {
                    came -= size;
                    request.outcome = ReadOutcome::complete(size);
                } else {
                    // The kernel stopped inside this one. Finish it alone, then go on with the batch behind it.
                    request.outcome = self.read_on(request.address, request.buffer, came);
                    break;
                }
            }
            rest = std::mem::take(&mut rest).get_mut(finished..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> ProcessMemory {
        let pid = pid_t::try_from(std::process::id()).unwrap();
        ProcessMemory::new(pid, File::open("/proc/self/mem").ok(), false)
    }

    /// Three pages of which the middle one cannot be read.
    struct Holed(*mut u8);

    impl Holed {
        fn new() -> Self {
            // SAFETY: a fresh private mapping; the middle page is made inaccessible and never touched.
            unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let base = libc::mmap(
                    std::ptr::null_mut(),
                    0x3000,
                    libc::PROT_READ | libc::PROT_WRITE,
                    flags,
                    -1,
                    0,
                );
                assert_ne!(base, libc::MAP_FAILED);
                let base = base.cast::<u8>();
                std::ptr::write_bytes(base, 0x11, 0x1000);
                std::ptr::write_bytes(base.add(0x2000), 0x33, 0x1000);
                assert_eq!(libc::munmap(base.add(0x1000).cast(), 0x1000), 0);
                Self(base)
            }
        }

        fn address(&self) -> u64 {
            self.0 as u64
        }
    }

    #[test]
    fn a_read_is_partial_up_to_the_first_unmapped_page_by_every_means() {
        let holed = Holed::new();
        for memory in [own(), own().for_bulk_reads()] {
            let mut buffer = vec![0; 0x2000];
            let outcome = memory.read(holed.address() + 0x10, &mut buffer);
            assert_eq!(outcome.done, 0xff0);
            assert!(matches!(outcome.end, ReadEnd::Unreadable { os_error: Some(_) }), "{outcome:?}");
            assert!(buffer[..0xff0].iter().all(|byte| *byte == 0x11));
            assert_eq!(memory.read(u64::MAX - 4, &mut buffer).done, 0);
            assert_eq!(memory.read(0, &mut buffer).done, 0);
        }
    }

    #[test]
    fn a_batch_gives_each_request_its_own_outcome_beyond_the_vector_limit() {
        let holed = Holed::new();
        let mut buffers = vec![[0_u8; 16]; 3000];
        let mut requests: Vec<ReadRequest<'_>> = buffers
            .iter_mut()
            .enumerate()
            .map(|(index, buffer)| {
                let page = [0x0000, 0x0ff8, 0x1800, 0x2000][index % 4];
                ReadRequest::new(holed.address() + page, buffer)
            })
            .collect();
        own().read_batch(&mut requests);
        for (index, request) in requests.iter().enumerate() {
            let (done, first) = [(16, 0x11), (8, 0x11), (0, 0), (16, 0x33)][index % 4];
            assert_eq!((request.outcome.done, request.buffer[0]), (done, first), "request {index}");
        }
    }
}
