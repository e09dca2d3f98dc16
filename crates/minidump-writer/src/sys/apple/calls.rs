//! Calls of the kernel that `mach2` does not declare.
#![expect(unsafe_code, reason = "calls of the system")]

use mach2::kern_return::kern_return_t;
use mach2::mach_types::{task_name_t, thread_act_t};
use mach2::message::mach_msg_type_number_t;
use std::ffi::c_int;

unsafe extern "C" {
    /// mach/thread_act.defs: writes at most `*count` words to `info` and sets `*count` to how many came.
    pub fn thread_info(
        thread: thread_act_t,
        flavor: u32,
        info: *mut c_int,
        count: *mut mach_msg_type_number_t,
    ) -> kern_return_t;

    /// mach/mach_traps.h: the id of the process of `task`.
    pub fn pid_for_task(task: task_name_t, pid: *mut c_int) -> kern_return_t;
}
