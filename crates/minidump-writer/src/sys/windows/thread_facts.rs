//! What the system tells of a thread besides its registers: nothing that has to wait for it.
#![expect(unsafe_code, reason = "calls of the system")]

use super::ntdll::{self, find};
use super::threads::ThreadHandle;
use super::times;
use crate::snapshot::{Thread, WindowsThread};
use std::os::windows::io::AsRawHandle;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{HANDLE, LocalFree};
use windows_sys::Win32::System::Threading::GetThreadPriority;

/// `ThreadQuerySetWin32StartAddress` and `ThreadSuspendCount` of THREADINFOCLASS; the latter since Windows 8.1.
const START_ADDRESS: i32 = 9;
const SUSPEND_COUNT: i32 = 35;

/// What GetThreadPriority returns when it fails.
const NO_PRIORITY: i32 = 0x7fff_ffff;

/// Most UTF-16 code units of a thread's name that are taken.
const MOST_OF_NAME: usize = 1 << 12;

type GetThreadDescription = unsafe extern "system" fn(HANDLE, *mut *mut u16) -> i32;

/// Puts name, priority, affinity and times into `thread`. The name is UTF-8; where the program's is no valid UTF-16, it has
/// the replacement character.
pub fn fill(handle: &ThreadHandle, thread: &mut Thread) {
    // SAFETY: the handle is open.
    let priority = unsafe { GetThreadPriority(handle.handle.as_raw_handle()) };
    thread.name = name(handle).map(String::into_bytes);
    thread.priority = Some(priority).filter(|priority| *priority != NO_PRIORITY);
    thread.affinity = Some(handle.affinity).filter(|mask| *mask != 0);
    thread.times = times::of_thread(handle.handle());
}

/// What only Windows tells.
pub fn windows_facts(handle: &ThreadHandle, priority_class: u32, suspend_count: u32) -> WindowsThread {
    // SAFETY: a number is valid whatever its bytes.
    let start: Option<usize> = unsafe { ntdll::thread_information(handle.handle(), START_ADDRESS) }.ok();
    WindowsThread {
        id: handle.id,
        suspend_count,
        priority_class,
        start_address: start.map(|start| start as u64).filter(|start| *start != 0),
        native: None,
    }
}

/// How often the thread is suspended now; `None` where the system does not tell.
pub fn suspend_count(handle: &ThreadHandle) -> Option<u32> {
    // SAFETY: a number is valid whatever its bytes.
    unsafe { ntdll::thread_information(handle.handle(), SUSPEND_COUNT) }.ok()
}

/// The name that the program gave the thread (SetThreadDescription).
fn name(handle: &ThreadHandle) -> Option<String> {
    let describe = get_thread_description()?;
    let mut text = std::ptr::null_mut();
    // SAFETY: the handle is open, and the pointer is to a variable of the type that the call writes.
    let result = unsafe { describe(handle.handle.as_raw_handle(), &raw mut text) };
    if result < 0 || text.is_null() {
        return None;
    }
    let mut units = Vec::new();
    for index in 0..MOST_OF_NAME {
        // SAFETY: the text ends with a zero, which has not been met yet.
        match unsafe { text.add(index).read() } {
            0 => break,
            unit => units.push(unit),
        }
    }
    // SAFETY: the call gave the text to the caller, to be freed in this way.
    unsafe { LocalFree(text.cast()) };
    Some(String::from_utf16_lossy(&units)).filter(|name| !name.is_empty())
}

/// Since Windows 10 version 1607.
fn get_thread_description() -> Option<GetThreadDescription> {
    static FUNCTION: OnceLock<Option<GetThreadDescription>> = OnceLock::new();
    *FUNCTION.get_or_init(|| {
        let library = [c"kernel32.dll", c"kernelbase.dll"];
        let found = library.into_iter().find_map(|library| find(library, c"GetThreadDescription"));
        // SAFETY: the function of this name has this signature.
        unsafe { std::mem::transmute::<ntdll::Address, Option<GetThreadDescription>>(found) }
    })
}
