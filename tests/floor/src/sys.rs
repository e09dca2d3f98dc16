//! The system calls, each as one safe function.
#![allow(unsafe_code)]

use libc::{c_long, pid_t};
use std::{fs::File, io, os::fd::AsRawFd};

/// A range of the target's memory: first address and end.
pub type Range = (usize, usize);

fn checked(result: c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn ptrace(request: libc::c_uint, tid: pid_t, address: usize, data: usize) -> io::Result<()> {
    // SAFETY: callers pass as `data` zero or the address of a live iovec over a live buffer; the kernel checks the rest.
    checked(unsafe {
        libc::syscall(libc::SYS_ptrace, c_long::from(request), c_long::from(tid), address, data)
    })
    .map(drop)
}

pub fn seize(tid: pid_t) -> io::Result<()> {
    ptrace(libc::PTRACE_SEIZE, tid, 0, 0)
}

pub fn interrupt(tid: pid_t) -> io::Result<()> {
    ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

pub fn detach(tid: pid_t) -> io::Result<()> {
    ptrace(libc::PTRACE_DETACH, tid, 0, 0)
}

/// Copies a register set (NT_*, `<elf.h>`) into the buffer.
pub fn registers(tid: pid_t, kind: usize, buffer: &mut [u8]) -> io::Result<()> {
    let mut vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    ptrace(libc::PTRACE_GETREGSET, tid, kind, (&raw mut vector) as usize)
}

/// Sleeps until the thread stops. False when it ended instead.
pub fn wait(tid: pid_t) -> io::Result<bool> {
    let mut status = 0;
    // SAFETY: `status` is a live c_int.
    checked(unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) }.into())?;
    Ok(libc::WIFSTOPPED(status))
}

/// The next entries of a folder, as getdents64(2) lays them out; 0 at its end.
pub fn entries(folder: &File, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is live, exclusive, and of this length.
    checked(unsafe {
        libc::syscall(libc::SYS_getdents64, folder.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
    })
}

/// Copies ranges of another process's memory, one behind the other, into the buffer. At most IOV_MAX (1024) of them.
pub fn read_memory(pid: pid_t, remote: &[libc::iovec], buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the local vector is a live, exclusive buffer; the remote ones are addresses in another process, which the
    // kernel checks.
    checked(
        unsafe {
            libc::process_vm_readv(
                pid,
                &raw const local,
                1,
                remote.as_ptr(),
                remote.len() as libc::c_ulong,
                0,
            )
        }
        .try_into()
        .unwrap_or(-1),
    )
}

/// Where the byte is.
pub fn find(text: &[u8], byte: u8) -> Option<usize> {
    // SAFETY: pointer and length are those of a live slice.
    let found = unsafe { libc::memchr(text.as_ptr().cast(), byte.into(), text.len()) };
    (!found.is_null()).then(|| found as usize - text.as_ptr() as usize)
}

/// A range of another process's memory.
pub fn remote((start, end): Range) -> libc::iovec {
    libc::iovec { iov_base: std::ptr::without_provenance_mut(start), iov_len: end.saturating_sub(start) }
}

/// Size of the XSAVE area that the kernel copies (NT_X86_XSTATE): CPUID leaf 0DH, sub-leaf 0, EBX.
pub fn xstate_size() -> usize {
    // SAFETY: every x86-64 processor has the CPUID instruction; an unknown leaf is answered with that of another one.
    #[allow(unused_unsafe, reason = "newer toolchains declare it safe")]
    let answer = unsafe { std::arch::x86_64::__cpuid_count(0xd, 0) };
    (answer.ebx as usize).clamp(576, 64 << 10)
}
