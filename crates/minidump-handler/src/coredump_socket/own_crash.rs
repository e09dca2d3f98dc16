//! A crash of the handler itself.
#![expect(unsafe_code, reason = "prctl")]

use std::io;

/// Lets no core be made of this process. The kernel would connect to this very socket and wait for a process that is
/// waiting for the kernel; and a worker that dies of a crash would start one that dies of the same.
///
/// # Errors
/// When the kernel refuses (prctl(2), PR_SET_DUMPABLE).
pub fn make_no_core_of_this_process() -> io::Result<()> {
    let not: libc::c_ulong = 0;
    // SAFETY: this operation has one number for an argument and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_DUMPABLE, not) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
