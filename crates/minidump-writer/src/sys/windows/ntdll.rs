//! Calls of the native API for which there is no documented one, each looked up by name: who lacks one goes without.
//!
//! Their signatures are those of the headers of System Informer (`phnt`); the calls are in every Windows since Vista.
#![expect(unsafe_code, reason = "calls of the system")]

use std::ffi::{CStr, c_void};
use std::mem::transmute;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use std::sync::OnceLock;
use windows_sys::Wdk::System::Threading::{NtQueryInformationProcess, NtQueryInformationThread};
use windows_sys::Win32::Foundation::{HANDLE, NTSTATUS, RtlNtStatusToDosError};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

type GetNextThread = unsafe extern "system" fn(HANDLE, HANDLE, u32, u32, u32, *mut HANDLE) -> NTSTATUS;
type CreateDebugObject = unsafe extern "system" fn(*mut HANDLE, u32, *const c_void, u32) -> NTSTATUS;
type OfProcessAndDebugObject = unsafe extern "system" fn(HANDLE, HANDLE) -> NTSTATUS;

/// `DEBUG_PROCESS_ASSIGN`: all that is done with a debug object here.
const DEBUG_PROCESS_ASSIGN: u32 = 2;

/// A status that tells of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub NTSTATUS);

impl Status {
    /// The call is not there.
    pub const NOT_IMPLEMENTED: Self = Self(windows_sys::Win32::Foundation::STATUS_NOT_IMPLEMENTED);

    /// The number of the same error in the documented API.
    pub fn os_error(self) -> i32 {
        // SAFETY: the function looks the number up in a table, and takes any.
        unsafe { RtlNtStatusToDosError(self.0) }.cast_signed()
    }
}

impl From<Status> for std::io::Error {
    fn from(status: Status) -> Self {
        Self::from_raw_os_error(status.os_error())
    }
}

/// Statuses at and above zero are successes (NT_SUCCESS, ntdef.h).
fn check(status: NTSTATUS) -> Result<(), Status> {
    if status >= 0 { Ok(()) } else { Err(Status(status)) }
}

struct Functions {
    get_next_thread: Option<GetNextThread>,
    create_debug_object: Option<CreateDebugObject>,
    debug_active_process: Option<OfProcessAndDebugObject>,
    remove_process_debug: Option<OfProcessAndDebugObject>,
}

fn functions() -> &'static Functions {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    FUNCTIONS.get_or_init(|| {
        // SAFETY: the functions of these names have had these signatures since they exist.
        unsafe {
            Functions {
                get_next_thread: transmute::<Address, Option<GetNextThread>>(find(
                    c"ntdll.dll",
                    c"NtGetNextThread",
                )),
                create_debug_object: transmute::<Address, Option<CreateDebugObject>>(find(
                    c"ntdll.dll",
                    c"NtCreateDebugObject",
                )),
                debug_active_process: transmute::<Address, Option<OfProcessAndDebugObject>>(find(
                    c"ntdll.dll",
                    c"NtDebugActiveProcess",
                )),
                remove_process_debug: transmute::<Address, Option<OfProcessAndDebugObject>>(find(
                    c"ntdll.dll",
                    c"NtRemoveProcessDebug",
                )),
            }
        }
    })
}

/// A function of which nothing but its address is known.
pub type Address = Option<unsafe extern "system" fn() -> isize>;

/// The function `name` of a library that every process has loaded.
pub fn find(library: &CStr, name: &CStr) -> Address {
    // SAFETY: both are strings that end with a zero. Libraries such as these are never unloaded.
    unsafe { GetProcAddress(GetModuleHandleA(library.as_ptr().cast()), name.as_ptr().cast()) }
}

/// Where a library that every process has loaded lies in this one.
pub fn base(library: &CStr) -> Option<u64> {
    // SAFETY: the text ends with a zero.
    let base = unsafe { GetModuleHandleA(library.as_ptr().cast()) };
    Some(base.addr() as u64).filter(|base| *base != 0)
}

/// The thread of `process` behind `thread`, or the first one, opened for `access`. `STATUS_NO_MORE_ENTRIES` at the end.
pub fn next_thread(
    process: BorrowedHandle<'_>,
    thread: Option<BorrowedHandle<'_>>,
    access: u32,
) -> Result<OwnedHandle, Status> {
    let call = functions().get_next_thread.ok_or(Status::NOT_IMPLEMENTED)?;
    let previous = thread.map_or(null_mut(), |thread| thread.as_raw_handle());
    let mut next = null_mut();
    // SAFETY: the handles are open, and the pointer is to a variable of the type that the call writes.
    check(unsafe { call(process.as_raw_handle(), previous, access, 0, 0, &raw mut next) })?;
    // SAFETY: the call succeeded, so this is a handle that nobody else knows.
    Ok(unsafe { OwnedHandle::from_raw_handle(next) })
}

/// A debug object. Processes that are debugged through it go on, and are not killed, when its last handle is closed.
pub fn create_debug_object() -> Result<OwnedHandle, Status> {
    let call = functions().create_debug_object.ok_or(Status::NOT_IMPLEMENTED)?;
    // An OBJECT_ATTRIBUTES without name: as long as the structure is, then nothing but zeros. Six words in all builds.
    let attributes: [usize; 6] = [size_of::<[usize; 6]>(), 0, 0, 0, 0, 0];
    let mut object = null_mut();
    // SAFETY: the attributes are a structure of the right layout: `Length` is 32 bits at its start, and on 64-bit
    // systems padding follows; the other pointer is to a variable of the type that the call writes.
    check(unsafe { call(&raw mut object, DEBUG_PROCESS_ASSIGN, attributes.as_ptr().cast(), 0) })?;
    // SAFETY: the call succeeded, so this is a handle that nobody else knows.
    Ok(unsafe { OwnedHandle::from_raw_handle(object) })
}

/// Makes `process` be debugged through `object`, and suspends its threads. Runs nothing in it.
pub fn debug_active_process(process: BorrowedHandle<'_>, object: BorrowedHandle<'_>) -> Result<(), Status> {
    let call = functions().debug_active_process.ok_or(Status::NOT_IMPLEMENTED)?;
    // SAFETY: both handles are open.
    check(unsafe { call(process.as_raw_handle(), object.as_raw_handle()) })
}

/// Ends what [`debug_active_process`] began.
pub fn remove_process_debug(process: BorrowedHandle<'_>, object: BorrowedHandle<'_>) -> Result<(), Status> {
    let call = functions().remove_process_debug.ok_or(Status::NOT_IMPLEMENTED)?;
    // SAFETY: both handles are open.
    check(unsafe { call(process.as_raw_handle(), object.as_raw_handle()) })
}

/// What the system tells of a thread in class `class` of THREADINFOCLASS.
///
/// # Safety
/// Any bytes must be a valid `T`.
pub unsafe fn thread_information<T: Default>(thread: BorrowedHandle<'_>, class: i32) -> Result<T, Status> {
    let mut value = T::default();
    let size = u32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the handle is open, and the pointer is to as many bytes as are said, which may be any.
    check(unsafe {
        NtQueryInformationThread(thread.as_raw_handle(), class, (&raw mut value).cast(), size, null_mut())
    })?;
    Ok(value)
}

/// What the system tells of a process in class `class` of PROCESSINFOCLASS.
///
/// # Safety
/// Any bytes must be a valid `T`.
pub unsafe fn process_information<T: Default>(process: BorrowedHandle<'_>, class: i32) -> Result<T, Status> {
    let mut value = T::default();
    let size = u32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the handle is open, and the pointer is to as many bytes as are said, which may be any.
    check(unsafe {
        NtQueryInformationProcess(process.as_raw_handle(), class, (&raw mut value).cast(), size, null_mut())
    })?;
    Ok(value)
}
