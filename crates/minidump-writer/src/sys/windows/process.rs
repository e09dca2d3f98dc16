//! What the system tells of a process.
#![expect(unsafe_code, reason = "calls of the system")]

use super::ntdll;
use super::open::Target;
use crate::snapshot::Process;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Win32::System::Threading::{
    GetPriorityClass, PROCESS_NAME_WIN32, QueryFullProcessImageNameW,
};

/// `ProcessBasicInformation` and `ProcessWow64Information` of PROCESSINFOCLASS.
const BASIC_INFORMATION: i32 = 0;
const WOW64_INFORMATION: i32 = 26;

/// Most UTF-16 code units of a path (UNICODE_STRING counts its bytes in 16 bits).
const MOST_OF_PATH: usize = 1 << 15;

/// `PROCESS_BASIC_INFORMATION`.
#[repr(C)]
#[derive(Debug, Default)]
struct BasicInformation {
    exit_status: i32,
    peb: usize,
    affinity: usize,
    base_priority: i32,
    id: usize,
    parent: usize,
}

/// What stays the same as long as the process lives.
#[derive(Debug, Default)]
pub struct ProcessFacts {
    /// Address of the environment block.
    pub peb: Option<u64>,
    /// Address of the 32-bit one of a 32-bit program on a 64-bit system.
    pub peb32: Option<u64>,
    /// Who made it.
    pub parent: Option<u32>,
    /// Path of the executable.
    pub executable: Option<String>,
    /// `*_PRIORITY_CLASS`; zero when unknown.
    pub priority_class: u32,
}

impl ProcessFacts {
    /// Those of `target`.
    pub fn of(target: &Target) -> Self {
        let process = target.handle();
        // SAFETY: the structure is made of numbers.
        let basic: BasicInformation =
            unsafe { ntdll::process_information(process, BASIC_INFORMATION) }.unwrap_or_default();
        // SAFETY: a number is valid whatever its bytes.
        let peb32: Option<usize> = unsafe { ntdll::process_information(process, WOW64_INFORMATION) }.ok();
        Self {
            peb: Some(basic.peb as u64).filter(|peb| *peb != 0),
            peb32: peb32.map(|peb| peb as u64).filter(|peb| *peb != 0 && target.is_wow64),
            parent: u32::try_from(basic.parent).ok().filter(|parent| *parent != 0),
            executable: executable(process),
            // SAFETY: the handle is open.
            priority_class: unsafe { GetPriorityClass(process.as_raw_handle()) },
        }
    }

    /// The same in the words of all systems.
    pub fn process(&self, target: &Target) -> Process {
        Process {
            pid: target.id,
            parent_pid: self.parent,
            uid: None,
            executable: self.executable.clone().map(String::into_bytes),
            start_time_us: Some(target.times.start_us).filter(|start| *start != 0),
            user_time_us: Some(target.times.user_us),
            kernel_time_us: Some(target.times.kernel_us),
        }
    }
}

fn executable(process: BorrowedHandle<'_>) -> Option<String> {
    let mut path = vec![0_u16; MOST_OF_PATH];
    let mut length = u32::try_from(path.len()).unwrap_or(0);
    // SAFETY: the handle is open, the buffer has as many units as are said, and the call writes no more.
    let done = unsafe {
        QueryFullProcessImageNameW(
            process.as_raw_handle(),
            PROCESS_NAME_WIN32,
            path.as_mut_ptr(),
            &raw mut length,
        )
    };
    let path = path.get(..usize::try_from(length).ok()?).filter(|_| done != 0)?;
    Some(String::from_utf16_lossy(path)).filter(|path| !path.is_empty())
}
