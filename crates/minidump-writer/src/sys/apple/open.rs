//! From a process id to its task.
#![expect(unsafe_code, reason = "calls of the system")]

use super::process;
use super::rights::{SendRight, own_task};
use super::task::RealTask;
use crate::{Error, Pid};
use mach2::kern_return::KERN_SUCCESS;
use mach2::port::MACH_PORT_NULL;
use mach2::traps::task_for_pid;
use minidump_mach::KernReturn;

/// The task of process `pid`.
pub fn task(pid: Pid) -> Result<RealTask, Error> {
    if pid <= 0 {
        return Err(Error::InvalidPid { pid });
    }
    if u32::try_from(pid) == Ok(std::process::id()) {
        return Ok(RealTask::lent(own_task()));
    }
    let mut name = MACH_PORT_NULL;
    // SAFETY: the pointer is to a variable of the type that the call writes.
    let code = unsafe { task_for_pid(own_task(), pid, &raw mut name) };
    match (code, name) {
        (KERN_SUCCESS, MACH_PORT_NULL) => Err(Error::NoSuchProcess { pid }),
        (KERN_SUCCESS, name) => Ok(RealTask::held(SendRight::new(name))),
        _ if !process::exists(pid) => Err(Error::NoSuchProcess { pid }),
        (code, _) => Err(Error::PermissionDenied { pid, reason: refused(KernReturn(code)) }),
    }
}

/// What to do when the kernel gives no port. It says no more than that.
fn refused(code: KernReturn) -> String {
    format!(
        "the system refused its task port ({code}); run as root, or sign this program with the entitlement \
         com.apple.security.cs.debugger, and sign the other one with com.apple.security.get-task-allow; programs that \
         System Integrity Protection guards hand out their port to no one"
    )
}
