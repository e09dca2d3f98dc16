//! Why there is no copy.

use super::wait::Lost;
use std::io;

/// Why a process was not copied. It is as it was before, unless [`Refusal::Stuck`] says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The copy would become a child of the process: the init of a PID namespace adopts what loses its parent.
    #[error("it is the init of its PID namespace, which would inherit the copy as a child")]
    Init,
    /// The same for PR_SET_CHILD_SUBREAPER.
    #[error("it is a subreaper (PR_SET_CHILD_SUBREAPER), which would inherit the copy as a child")]
    Subreaper,
    /// `unshare(CLONE_NEWPID)`: the first process made would be the init of a new namespace.
    #[error("its children are born into another PID namespace")]
    OtherNamespace,
    /// A filter may kill the process for a fork.
    #[error("a seccomp filter restricts its system calls")]
    Seccomp,
    /// No thread is in a state that can be given back exactly.
    #[error("none of its threads can be borrowed to make the copy: {0}; another try may find one")]
    NoThread(&'static str),
    /// The kernel did not make the copy: limits on processes (RLIMIT_NPROC, pids.max) or memory.
    #[error("the kernel refused the copy: {0}")]
    Kernel(#[source] io::Error),
    /// Tracing failed on the way.
    #[error("tracing failed while the copy was being made: {0}")]
    Trace(#[source] io::Error),
    /// It took too long.
    #[error("the copy was not ready in time")]
    Late,
    /// The process was killed meanwhile.
    #[error("the process ended while it was being copied")]
    Gone,
    /// A borrowed thread did not come back, so its registers could not be put back.
    #[error("thread {tid} did not come back from making the copy; the process is not what it was")]
    Stuck {
        /// Id of the thread.
        tid: libc::pid_t,
    },
}

impl Refusal {
    /// A request on a tracee failed: ESRCH says that it is dead.
    pub fn of_request(error: io::Error) -> Self {
        if error.raw_os_error() == Some(libc::ESRCH) { Self::Gone } else { Self::Trace(error) }
    }
}

impl From<Lost> for Refusal {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Late => Self::Late,
            Lost::Gone => Self::Gone,
        }
    }
}
