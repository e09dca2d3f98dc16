//! What the BSD half of the kernel tells.
#![expect(unsafe_code, reason = "calls of the system")]

use minidump_mach::ProcessFacts;
use std::ffi::c_char;
use std::io;
use std::mem::MaybeUninit;

/// Longest name of a fact, the zero included: `kern.osproductversion` has 22 bytes.
const NAME_SIZE: usize = 64;

/// `sysctlbyname`: the bytes of the fact `name`. Returns how many came, or `errno`.
pub fn sysctl(name: &str, bytes: &mut [u8]) -> Result<usize, i32> {
    // The heap may be out of bounds: other threads stand still, and one of them may hold its lock.
    let mut text = [0; NAME_SIZE];
    if name.len() >= NAME_SIZE {
        return Err(libc::ENAMETOOLONG);
    }
    for (target, byte) in text.iter_mut().zip(name.as_bytes()) {
        *target = *byte;
    }
    let mut size = bytes.len();
    let name = text.as_ptr().cast::<c_char>();
    let target = bytes.as_mut_ptr().cast();
    // SAFETY: the name ends with a zero; the kernel writes at most `size` bytes to `bytes`, and sets nothing.
    let code = unsafe { libc::sysctlbyname(name, target, &raw mut size, std::ptr::null_mut(), 0) };
    if code == 0 { Ok(size.min(bytes.len())) } else { Err(errno()) }
}

/// When process `pid` started, and whose it is.
pub fn facts(pid: i32) -> Option<ProcessFacts> {
    // Process 0 is the kernel itself, and the id where the kernel does not tell one.
    if pid <= 0 {
        return None;
    }
    let mut facts = MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let size = i32::try_from(size_of_val(&facts)).ok()?;
    let target = facts.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `size` bytes to `facts`.
    let came = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, target, size) };
    if came != size {
        return None;
    }
    // SAFETY: all of it came, and any bytes are such a structure: it is made of numbers.
    let facts = unsafe { facts.assume_init() };
    let start_us = facts.pbi_start_tvsec.checked_mul(1_000_000)?.checked_add(facts.pbi_start_tvusec)?;
    Some(ProcessFacts { start_us, parent_pid: facts.pbi_ppid, uid: facts.pbi_ruid })
}

/// Whether there is a process `pid`.
pub fn exists(pid: i32) -> bool {
    // SAFETY: signal 0 sends nothing.
    let code = unsafe { libc::kill(pid, 0) };
    code == 0 || errno() != libc::ESRCH
}

/// `errno` of the last call.
fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
