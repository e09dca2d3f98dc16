//! Rights and memory that the kernel gives, given back when they are dropped.
#![expect(unsafe_code, reason = "calls of the system")]

use mach2::kern_return::KERN_SUCCESS;
use mach2::mach_port::mach_port_deallocate;
use mach2::mach_types::{task_t, thread_act_t};
use mach2::port::mach_port_name_t;
use mach2::task::task_threads;
use mach2::traps::mach_task_self;
use mach2::vm::mach_vm_deallocate;
use minidump_mach::KernReturn;
use std::ptr::NonNull;

/// What a call came to.
pub fn check(code: i32) -> Result<(), KernReturn> {
    if code == KERN_SUCCESS { Ok(()) } else { Err(KernReturn(code)) }
}

/// The task port of this process.
pub fn own_task() -> task_t {
    // SAFETY: libSystem sets the variable before anything of the program runs, and nothing changes it afterwards.
    unsafe { mach_task_self() }
}

/// One reference to a send right.
#[derive(Debug)]
pub struct SendRight(mach_port_name_t);

impl SendRight {
    /// Takes over a reference that a call returned.
    pub fn new(name: mach_port_name_t) -> Self {
        Self(name)
    }

    /// The name of the port in this process.
    pub fn name(&self) -> mach_port_name_t {
        self.0
    }
}

impl Drop for SendRight {
    fn drop(&mut self) {
        release(self.0);
    }
}

/// Gives up one reference to the send right `name`.
fn release(name: mach_port_name_t) {
    // SAFETY: a call on a name of our own space. The reference is ours, so nobody else loses one. That the port may have
    // died meanwhile is no error here.
    unsafe { mach_port_deallocate(own_task(), name) };
}

/// The answer to one `task_threads`: an array in memory of the kernel's making, and a reference to each thread's port.
#[derive(Debug)]
pub struct ThreadList {
    /// `None` when the kernel gave no array.
    names: Option<NonNull<thread_act_t>>,
    count: u32,
}

impl ThreadList {
    /// The threads that `task` has now.
    pub fn of(task: task_t) -> Result<Self, KernReturn> {
        let (mut names, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: both pointers are to variables of the types that the call writes.
        check(unsafe { task_threads(task, &raw mut names, &raw mut count) })?;
        let names = NonNull::new(names);
        Ok(Self { names, count: if names.is_some() { count } else { 0 } })
    }

    /// Names of the ports.
    pub fn names(&self) -> &[thread_act_t] {
        let Some(names) = self.names else { return &[] };
        let count = usize::try_from(self.count).unwrap_or(0);
        // SAFETY: the kernel mapped `count` names there, page-aligned, for this process; only `drop` unmaps them.
        unsafe { std::slice::from_raw_parts(names.as_ptr(), count) }
    }
}

impl Drop for ThreadList {
    fn drop(&mut self) {
        self.names().iter().copied().for_each(release);
        let Some(names) = self.names.take() else { return };
        let size = u64::from(self.count) * size_of::<thread_act_t>() as u64;
        // SAFETY: the memory is that of the array, which nothing refers to any more.
        unsafe { mach_vm_deallocate(own_task(), names.as_ptr().addr() as u64, size) };
    }
}
