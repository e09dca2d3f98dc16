//! The system calls that make the copy.
//!
//! The copy must not become a child of the target, whose `wait` and SIGCHLD would tell of it. So a thread of the target
//! makes a *helper* that shares its memory (which costs nothing, whatever the size), the helper forks the *copy*, and
//! the helper dies: the copy then belongs to the init of the PID namespace, or to the nearest subreaper. The helper
//! itself tells its parent nothing either, as its exit signal is zero, and is reaped by the same thread before the
//! target goes on.

use super::borrowed::{Answer, Borrowed, Call, Owner, RECOVERY, kill_newborn};
use super::lender::Lender;
use super::refusal::Refusal;
use super::registers::Registers;
use super::requests;
use super::site::Code;
use super::wait;
use libc::{c_int, pid_t};
use std::io;
use std::time::Instant;

/// ERESTARTNOINTR, include/linux/errno.h: the kernel wants the call to be made again. User code never sees it.
const ERESTARTNOINTR: i64 = 513;
const MOST_TRIES: u32 = 8;
/// PR_GET_CHILD_SUBREAPER, include/uapi/linux/prctl.h.
const GET_CHILD_SUBREAPER: u64 = 37;

/// Makes the copy through a thread of the target. Returns its id; it is a stopped tracee that dies with this program.
pub fn fork_through(lender: Lender, deadline: Instant) -> Result<pid_t, Refusal> {
    let thread = Borrowed::take(lender.tid, lender.registers, lender.code, Owner::Target)?;
    if is_subreaper(&thread, deadline)? {
        return Err(Refusal::Subreaper);
    }
    let flags = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES;
    let helper = make_task(&thread, flags, deadline)?;
    let copy = if helper.alive { fork_from(helper.task, lender.code, deadline) } else { Err(Refusal::Late) };
    requests::kill_unreaped(helper.task);
    let dead = wait::for_exit(helper.task, Instant::now() + RECOVERY);
    let buried = if dead { bury(&thread, helper.own_id) } else { Err(Refusal::Late) };
    match (copy, buried) {
        (Ok(copy), Err(refusal)) => {
            kill_newborn(copy);
            Err(refusal)
        }
        (copy, _) => copy,
    }
}

/// Forks the copy from the helper, which has just been born.
fn fork_from(helper: pid_t, code: Code, deadline: Instant) -> Result<pid_t, Refusal> {
    let registers = Registers(requests::registers(helper).map_err(Refusal::of_request)?);
    let helper = Borrowed::take(helper, registers, code, Owner::Helper)?;
    // The copy holds no file open: otherwise the target could close a pipe and its other end would not see it. Before
    // Linux 5.9 it shares the table of files instead, so that a close is a close.
    let whole_range = [0, u64::from(u32::MAX), u64::from(libc::CLOSE_RANGE_UNSHARE), 0, 0, 0];
    let emptied = helper.call(&Call::new(libc::SYS_close_range, whole_range), deadline)?.result == 0;
    let flags = if emptied { 0 } else { libc::CLONE_FILES };
    let copy = make_task(&helper, flags, deadline)?;
    if copy.alive { Ok(copy.task) } else { Err(Refusal::Late) }
}

/// A task that was made.
struct Made {
    /// Its id as the calling process sees it.
    task: pid_t,
    /// Its id in the PID namespace of the target.
    own_id: u64,
    /// False when it has been killed since.
    alive: bool,
}

/// Makes a task whose end is announced to nobody. It stands.
fn make_task(thread: &Borrowed, flags: c_int, deadline: Instant) -> Result<Made, Refusal> {
    let call = Call::new(libc::SYS_clone, [u64::from(flags.unsigned_abs()), 0, 0, 0, 0, 0]).with_stack_in(1);
    for _ in 0..MOST_TRIES {
        match thread.call(&call, deadline)? {
            Answer { result, task: Some(task), alive, .. } => {
                return Ok(Made { task, own_id: u64::try_from(result).unwrap_or_default(), alive });
            }
            Answer { result, .. } if result == -ERESTARTNOINTR => {}
            Answer { result, .. } => return Err(Refusal::Kernel(error_of(result))),
        }
    }
    Err(Refusal::Kernel(io::Error::from_raw_os_error(libc::EAGAIN)))
}

/// Has the target reap the helper, which is dead.
fn bury(thread: &Borrowed, helper: u64) -> Result<(), Refusal> {
    let options = u64::from((libc::__WALL | libc::WNOHANG).unsigned_abs());
    // Whatever time is left: a dead child must not stay.
    let deadline = Instant::now() + RECOVERY;
    let answer = thread.call(&Call::new(libc::SYS_wait4, [helper, 0, options, 0, 0, 0]), deadline)?;
    match u64::try_from(answer.result) {
        Ok(reaped) if reaped == helper => Ok(()),
        _ => Err(Refusal::Trace(error_of(answer.result))),
    }
}

/// Asks the target whether it adopts orphans.
fn is_subreaper(thread: &Borrowed, deadline: Instant) -> Result<bool, Refusal> {
    let call = Call::new(libc::SYS_prctl, [GET_CHILD_SUBREAPER, 0, 0, 0, 0, 0]).answering_in(1);
    let answer = thread.call(&call, deadline)?;
    match answer.result {
        0 => Ok(answer.word.first_chunk::<4>() != Some(&[0; 4])),
        error => Err(Refusal::Kernel(error_of(error))),
    }
}

fn error_of(result: i64) -> io::Error {
    io::Error::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EIO))
}
