//! Suspended threads, and how often threads of any process are suspended.

use crate::chain;
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::threads::{STACK, worker_facts};
use std::io;
use std::mem::size_of;
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::Threading::{OpenThread, ResumeThread, SuspendThread, THREAD_SUSPEND_RESUME};

/// `suspended`: four parked threads, of which the first is suspended once and the second three times.
pub fn suspended(_: &Arguments) {
    let workers = chain::start_workers(4, STACK);
    for (worker, times) in workers.iter().zip([1, 3]) {
        let thread = Thread::open(worker.parked.tid()).expect("a thread of this process can be opened");
        for _ in 0..times {
            // SAFETY: the handle is open and has the right. The thread holds no lock: it waits.
            assert_ne!(unsafe { SuspendThread(thread.0) }, u32::MAX, "SuspendThread");
        }
    }
    worker_facts(&workers).numbers("counts", [1, 3, 0, 0]).print();
    control::serve_ping();
}

/// `counts PID`: how often each thread of another process is suspended, as `SuspendThread` tells, which is taken back at once.
pub fn counts(arguments: &Arguments) {
    let counts = threads_of(arguments.parsed(0, 0)).into_iter().filter_map(|id| {
        let thread = Thread::open(id)?;
        // SAFETY: the handle is open and has the right; what the first call does is undone by the second.
        let before = unsafe { SuspendThread(thread.0) };
        if before == u32::MAX {
            return None;
        }
        // SAFETY: as above.
        unsafe { ResumeThread(thread.0) };
        Some(Facts::part().number("tid", id).number("count", before))
    });
    Facts::new().objects("counts", counts).print();
}

/// Ids of the threads of a process.
fn threads_of(process: u32) -> Vec<u32> {
    // SAFETY: it takes numbers.
    let list = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    assert_ne!(list, INVALID_HANDLE_VALUE, "CreateToolhelp32Snapshot: {}", io::Error::last_os_error());
    // SAFETY: a structure of numbers, for which zeros are values.
    let mut entry: THREADENTRY32 = unsafe { std::mem::zeroed() };
    entry.dwSize = u32::try_from(size_of::<THREADENTRY32>()).expect("it is small");
    let mut found = Vec::new();
    // SAFETY: the list is open, and the structure tells its size.
    let mut more = unsafe { Thread32First(list, &raw mut entry) };
    while more != 0 {
        if entry.th32OwnerProcessID == process {
            found.push(entry.th32ThreadID);
        }
        // SAFETY: as above.
        more = unsafe { Thread32Next(list, &raw mut entry) };
    }
    // SAFETY: nobody else has this handle.
    unsafe { CloseHandle(list) };
    found
}

/// A thread that may be suspended.
struct Thread(HANDLE);

impl Thread {
    fn open(id: u32) -> Option<Self> {
        // SAFETY: it takes numbers.
        let handle = unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, id) };
        (!handle.is_null()).then_some(Self(handle))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: nobody else has this handle.
        unsafe { CloseHandle(self.0) };
    }
}
