//! Leaves the program that started this one.
#![expect(unsafe_code, reason = "fork")]

use std::io;

/// Goes on in a child that belongs to nobody: the process that was started ends, so that the program that started it has
/// no child of which it does not know, and what is typed at its terminal is not for this one. To be called while this
/// process has one thread.
///
/// # Errors
/// When no process can be made.
pub fn detach() -> io::Result<()> {
    // SAFETY: there is one thread, so the child has all that the parent had; the parent does nothing but end.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: it takes nothing; a child is never the leader of a group, so it cannot fail.
            unsafe { libc::setsid() };
            Ok(())
        }
        // SAFETY: ends the process without what the child still needs being undone.
        _ => unsafe { libc::_exit(0) },
    }
}
