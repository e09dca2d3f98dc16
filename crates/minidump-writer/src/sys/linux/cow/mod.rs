//! A copy of the target that shares its memory until one of them writes to it: `fork`, made by the target itself.
//!
//! The target stands still only while [`copy`] works: for as long as the kernel takes to copy the page tables, about
//! 15 ms for each GiB in small pages and well below 1 ms in huge ones. Then it goes on, and the copy, which never runs,
//! is read at leisure. What a fork does not take along is missing: see `docs/copy-on-write.md`.

mod borrowed;
mod fork;
mod landing;
mod lender;
mod refusal;
mod registers;
mod requests;
mod site;
mod wait;

pub use refusal::Refusal;

use super::maps::Mapping;
use super::memory::ProcessMemory;
use super::proc_fs::{read_text, status_field};
use super::tracees::Tracees;
use libc::pid_t;
use std::fs::File;
use std::time::{Duration, Instant};

/// Longest wait for the end of a copy that was killed; the kernel gives its memory back meanwhile.
const LONGEST_END: Duration = Duration::from_secs(30);

/// A copy of a process. Dropping it ends it; so does the end of the thread that made it, and of this program.
#[derive(Debug)]
pub struct Copy {
    pid: pid_t,
}

impl Copy {
    /// Its process id.
    #[cfg(test)]
    pub fn pid(&self) -> pid_t {
        self.pid
    }

    /// Its memory, for any thread to read.
    pub fn memory(&self) -> ProcessMemory {
        let file = File::open(format!("/proc/{}/mem", self.pid)).ok();
        ProcessMemory::new(self.pid, file, false).for_bulk_reads()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        requests::kill(self.pid);
        wait::for_exit(self.pid, Instant::now() + LONGEST_END);
    }
}

/// Copies process `pid`, all of whose threads are held in `tracees` by the calling thread.
///
/// On return, with a copy or without, each thread stands as it did, with the registers, signal mask and pending
/// signals that it had, and the target has no child that it did not have. `mappings` and `maps_text` are its memory
/// map.
///
/// # Errors
/// When the process cannot be copied, or not without its noticing.
pub fn copy(
    pid: pid_t,
    tracees: &Tracees,
    mappings: &[Mapping],
    maps_text: &[u8],
    deadline: Instant,
) -> Result<Copy, Refusal> {
    if is_init(&read_text(format!("/proc/{pid}/status")).map_err(Refusal::Trace)?) {
        return Err(Refusal::Init);
    }
    let lender = lender::choose(pid, tracees.stopped_on(), mappings, maps_text)?;
    let copy = Copy { pid: fork::fork_through(lender, deadline)? };
    // When memory runs short, the copy is to go, not the target.
    let _ = std::fs::write(format!("/proc/{}/oom_score_adj", copy.pid), "1000");
    Ok(copy)
}

/// Whether a /proc/PID/status tells of the init of a PID namespace: it has id 1 in the innermost one, which is the last
/// that the kernel lists.
fn is_init(status: &[u8]) -> bool {
    let ids = status_field(status, "NSpid").unwrap_or_default();
    ids.split_ascii_whitespace().next_back() == Some("1")
}

#[cfg(test)]
mod tests;
