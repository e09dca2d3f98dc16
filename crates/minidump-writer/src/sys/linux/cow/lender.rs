//! Choosing the thread that makes the copy.

use super::super::maps::Mapping;
use super::super::memory::ProcessMemory;
use super::super::proc_fs::{read_text, status_number};
use super::refusal::Refusal;
use super::registers::Registers;
use super::requests;
use super::site::{self, Code};
use crate::snapshot::MemorySource;
use libc::{c_int, pid_t};

/// Most threads that are looked at closely.
const MOST_CANDIDATES: usize = 32;
/// PTRACE_EVENT_STOP of a thread that was interrupted or stands in a group stop.
const NO_SIGNAL: c_int = 0;

/// A thread that can be borrowed.
#[derive(Debug)]
pub struct Lender {
    /// Its id.
    pub tid: pid_t,
    /// Its registers.
    pub registers: Registers,
    /// The code that it can call through.
    pub code: Code,
}

/// How well a thread suits, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Blocked in a system call, or just out of one.
    Blocked,
    /// The same, with time running, or in its second part already. Begun anew, the time would start again, and the
    /// second part would end with EINTR.
    BlockedForTime,
    /// The same, under a signal mask that lasts only as long as the system call.
    BlockedWithOwnMask,
    /// Runs its own code.
    Running,
}

/// The best of `threads`, which are stopped, each with the signal it is to be given (zero for none).
pub fn choose(
    pid: pid_t,
    threads: impl Iterator<Item = (pid_t, c_int)>,
    mappings: &[Mapping],
    maps_text: &[u8],
) -> Result<Lender, Refusal> {
    let mut candidates = Vec::with_capacity(64);
    let mut why = Refusal::NoThread("none of them is stopped");
    let mut best = 0;
    for (tid, signal) in threads {
        // Thousands of threads need not all be asked while they stand.
        if best >= MOST_CANDIDATES {
            break;
        }
        match rate(tid, signal) {
            Ok((rank, registers)) => {
                best += usize::from(rank == Rank::Blocked);
                candidates.push((rank, tid, registers));
            }
            Err(refusal) => why = refusal,
        }
    }
    candidates.sort_by_key(|(rank, tid, _)| (*rank, *tid));
    let Some((_, any, _)) = candidates.first() else { return Err(why) };
    let code = site::find(mappings, maps_text, &ProcessMemory::new(*any, None, true));
    let code =
        code.ok_or(Refusal::NoThread("the program has no code that calls the system and comes back"))?;
    for (rank, tid, registers) in candidates.into_iter().take(MOST_CANDIDATES) {
        let suits = check(pid, tid).and_then(|()| match rank {
            Rank::Running => refuse_restartable_sequence(tid, &registers),
            _ => Ok(()),
        });
        match suits {
            Ok(()) => return Ok(Lender { tid, registers, code }),
            Err(refusal) => why = refusal,
        }
    }
    Err(why)
}

fn rate(tid: pid_t, signal: c_int) -> Result<(Rank, Registers), Refusal> {
    if signal != NO_SIGNAL {
        // Taking the signal back would change the order in which signals arrive.
        return Err(Refusal::NoThread("they were about to be given signals"));
    }
    let bytes = requests::registers(tid).map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => Refusal::NoThread("they run 32-bit code"),
        _ => Refusal::of_request(error),
    })?;
    let registers = Registers(bytes);
    if !registers.are_plain() {
        return Err(Refusal::NoThread("they run 32-bit code or are single-stepped"));
    }
    let rank = match registers.entered_at() {
        Some(_) if registers.have_own_mask() => Rank::BlockedWithOwnMask,
        Some(_) if registers.have_time_running() => Rank::BlockedForTime,
        Some(_) => Rank::Blocked,
        None => Rank::Running,
    };
    Ok((rank, registers))
}

/// Refuses a thread whose system calls are filtered or redirected, or make processes elsewhere.
fn check(pid: pid_t, tid: pid_t) -> Result<(), Refusal> {
    let folder = format!("/proc/{pid}/task/{tid}");
    let status = read_text(format!("{folder}/status")).map_err(Refusal::Trace)?;
    if status_number(&status, "Seccomp").is_some_and(|mode| mode != 0) {
        return Err(Refusal::Seccomp);
    }
    // Kernels before 6.4 do not tell.
    if requests::dispatches_system_calls(tid).unwrap_or(false) {
        return Err(Refusal::NoThread("their system calls are turned into signals"));
    }
    let namespace = |name: &str| std::fs::read_link(format!("{folder}/ns/{name}"));
    // The link of a namespace without processes cannot be read.
    match (namespace("pid"), namespace("pid_for_children")) {
        (Ok(own), Ok(children)) if own == children => Ok(()),
        (Err(error), _) => Err(Refusal::Trace(error)),
        _ => Err(Refusal::OtherNamespace),
    }
}

/// Refuses a thread inside a restartable sequence (rseq(2)). The kernel has it start over when it goes on after the
/// stop, but would not if it found it elsewhere: then its instruction pointer, put back, would be in a sequence that
/// was interrupted and does not know.
fn refuse_restartable_sequence(tid: pid_t, registers: &Registers) -> Result<(), Refusal> {
    const WHY: Refusal = Refusal::NoThread("they are inside restartable sequences");
    /// Offset of `rseq_cs` in `struct rseq`; of `start_ip` and `post_commit_offset` in `struct rseq_cs`
    /// (include/uapi/linux/rseq.h).
    const POINTER: u64 = 8;
    const START: u64 = 8;
    const LENGTH: u64 = 16;
    let Ok(rseq) = requests::rseq(tid) else {
        return Err(Refusal::NoThread("they all run, and the kernel does not tell of restartable sequences"));
    };
    if rseq.area == 0 {
        return Ok(());
    }
    let memory = ProcessMemory::new(tid, None, true);
    let word = |address: u64| {
        let mut word = [0; 8];
        let done = memory.read(address, &mut word).done;
        if done == word.len() { Ok(u64::from_ne_bytes(word)) } else { Err(WHY) }
    };
    let sequence = word(rseq.area.saturating_add(POINTER))?;
    if sequence == 0 {
        return Ok(());
    }
    let start = word(sequence.saturating_add(START))?;
    let length = word(sequence.saturating_add(LENGTH))?;
    // The kernel's own test is the same: an unsigned difference.
    if registers.instruction().wrapping_sub(start) < length { Err(WHY) } else { Ok(()) }
}
