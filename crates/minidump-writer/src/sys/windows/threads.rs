//! Which threads a process has.
#![expect(unsafe_code, reason = "calls of the system")]

use super::ntdll::{self, Status};
use crate::snapshot::MemorySource;
use std::collections::HashSet;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::sync::Arc;
use windows_sys::Win32::Foundation::{STATUS_NO_MORE_ENTRIES, STATUS_NOT_IMPLEMENTED, STATUS_PENDING};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::Threading::{
    OpenThread, THREAD_GET_CONTEXT, THREAD_QUERY_INFORMATION, THREAD_SUSPEND_RESUME,
};

/// Most threads that are looked at, and most entries of the list of all threads of the system.
const MOST_THREADS: usize = 1 << 17;
const MOST_ENTRIES: usize = 1 << 20;

/// What a capture does with a thread.
const ACCESS: u32 = THREAD_QUERY_INFORMATION | THREAD_GET_CONTEXT;

/// `ThreadBasicInformation` of THREADINFOCLASS, and what it tells (`THREAD_BASIC_INFORMATION`).
const BASIC_INFORMATION: i32 = 0;

#[repr(C)]
#[derive(Debug, Default)]
struct BasicInformation {
    exit_status: i32,
    teb: usize,
    process: usize,
    thread: usize,
    affinity: usize,
    priority: i32,
    base_priority: i32,
}

/// A thread that is open.
#[derive(Debug, Clone)]
pub struct ThreadHandle {
    /// Its id.
    pub id: u32,
    /// Shared with whoever waits for the system to tell its registers.
    pub handle: Arc<OwnedHandle>,
    /// Address of its environment block.
    pub teb: u64,
    /// Address of the 32-bit one of a 32-bit program on a 64-bit system.
    pub teb32: Option<u64>,
    /// Processors that it may run on.
    pub affinity: u64,
}

impl ThreadHandle {
    /// The thread.
    pub fn handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }

    /// The environment block that the program itself uses.
    pub fn own_teb(&self) -> u64 {
        self.teb32.unwrap_or(self.teb)
    }

    /// `None` for one that has ended.
    fn of(handle: Arc<OwnedHandle>) -> Option<Self> {
        // SAFETY: the structure is made of numbers.
        let facts: BasicInformation =
            unsafe { ntdll::thread_information(handle.as_handle(), BASIC_INFORMATION) }.ok()?;
        let id = u32::try_from(facts.thread).ok()?;
        (facts.exit_status == STATUS_PENDING).then(|| Self {
            id,
            handle,
            teb: facts.teb as u64,
            teb32: None,
            affinity: facts.affinity as u64,
        })
    }
}

/// The threads of a process, and how they are found.
#[derive(Debug, Default)]
pub struct Threads {
    list: Vec<ThreadHandle>,
    ids: HashSet<u32>,
}

impl Threads {
    /// Those known so far, in the order they were found: the oldest first.
    pub fn list(&self) -> &[ThreadHandle] {
        &self.list
    }

    /// Looks for threads that are not known yet, and returns how many there were. With `to_suspend`, they are opened for
    /// that too.
    pub fn find_new(&mut self, process: BorrowedHandle<'_>, id: u32, to_suspend: bool) -> io::Result<usize> {
        let access = if to_suspend { ACCESS | THREAD_SUSPEND_RESUME } else { ACCESS };
        let before = self.list.len();
        match self.walk(process, access) {
            Err(Status(STATUS_NOT_IMPLEMENTED)) => self.walk_all(id, access)?,
            result => result?,
        }
        Ok(self.list.len() - before)
    }

    /// Finds the 32-bit environment blocks of the threads of a 32-bit program in its `memory`: the first field of a 64-bit
    /// one points at it, and it at itself (`NT_TIB`, winnt.h).
    pub fn find_teb32(&mut self, memory: &dyn MemorySource) {
        const SELF: u64 = 0x18;
        let word = |address: u64| {
            let mut bytes = [0; 4];
            (memory.read(address, &mut bytes).done == 4).then(|| u64::from(u32::from_le_bytes(bytes)))
        };
        for thread in self.list.iter_mut().filter(|thread| thread.teb32.is_none()) {
            let found = word(thread.teb).filter(|teb| *teb != 0);
            thread.teb32 = found.filter(|teb| word(teb + SELF) == Some(*teb));
        }
    }

    fn add(&mut self, thread: ThreadHandle) {
        if self.ids.insert(thread.id) {
            self.list.push(thread);
        }
    }

    /// Goes through the threads of the process alone.
    fn walk(&mut self, process: BorrowedHandle<'_>, access: u32) -> Result<(), Status> {
        let mut last: Option<Arc<OwnedHandle>> = None;
        for _ in 0..MOST_THREADS {
            let previous = last.as_ref().map(|handle| handle.as_handle());
            let next = match ntdll::next_thread(process, previous, access) {
                Err(Status(STATUS_NO_MORE_ENTRIES)) => break,
                next => Arc::new(next?),
            };
            if let Some(thread) = ThreadHandle::of(Arc::clone(&next)) {
                self.add(thread);
            }
            last = Some(next);
        }
        Ok(())
    }

    /// Goes through the threads of all processes.
    fn walk_all(&mut self, id: u32, access: u32) -> io::Result<()> {
        // SAFETY: takes numbers alone.
        let handle = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
        if handle == windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just made, and nobody else knows it.
        let list = unsafe { OwnedHandle::from_raw_handle(handle) };
        let size = u32::try_from(size_of::<THREADENTRY32>()).unwrap_or(0);
        let mut entry = THREADENTRY32 { dwSize: size, ..THREADENTRY32::default() };
        // SAFETY: the handle is one of a list, and the entry tells its own size.
        let mut more = unsafe { Thread32First(list.as_raw_handle(), &raw mut entry) } != 0;
        for _ in 0..MOST_ENTRIES {
            if !more || self.list.len() >= MOST_THREADS {
                break;
            }
            if entry.th32OwnerProcessID == id {
                self.open(entry.th32ThreadID, access);
            }
            entry.dwSize = size;
            // SAFETY: as above.
            more = unsafe { Thread32Next(list.as_raw_handle(), &raw mut entry) } != 0;
        }
        Ok(())
    }

    fn open(&mut self, id: u32, access: u32) {
        // SAFETY: takes numbers alone.
        let handle = unsafe { OpenThread(access, 0, id) };
        if handle.is_null() {
            return;
        }
        // SAFETY: the handle was just made, and nobody else knows it.
        let thread = unsafe { OwnedHandle::from_raw_handle(handle) };
        if let Some(thread) = ThreadHandle::of(Arc::new(thread)) {
            self.add(thread);
        }
    }
}
