//! The modules of a process, as the system's list has them.
#![expect(unsafe_code, reason = "calls of the system")]

use crate::snapshot::Module;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::ProcessStatus::{
    K32EnumProcessModulesEx, K32GetModuleFileNameExW, K32GetModuleInformation, LIST_MODULES_ALL, MODULEINFO,
};

/// Most modules that are looked at, and most UTF-16 code units of a path.
const MOST_MODULES: usize = 1 << 13;
const MOST_OF_PATH: usize = 1 << 15;

/// The modules, by ascending base.
pub fn list(process: BorrowedHandle<'_>) -> Vec<Module> {
    let mut handles: Vec<HMODULE> = vec![null_mut(); MOST_MODULES];
    let size = u32::try_from(size_of::<HMODULE>().saturating_mul(handles.len())).unwrap_or(0);
    let mut needed = 0;
    // SAFETY: the handle is open, and the list is as long as said.
    let done = unsafe {
        K32EnumProcessModulesEx(
            process.as_raw_handle(),
            handles.as_mut_ptr(),
            size,
            &raw mut needed,
            LIST_MODULES_ALL,
        )
    };
    let count = usize::try_from(needed).unwrap_or(0) / size_of::<HMODULE>();
    handles.truncate(if done == 0 { 0 } else { count });
    let mut modules: Vec<Module> = handles.iter().filter_map(|handle| module(process, *handle)).collect();
    if let Some(first) = modules.first_mut() {
        first.is_main = true;
    }
    modules.sort_by_key(|module| module.base);
    modules
}

fn module(process: BorrowedHandle<'_>, handle: HMODULE) -> Option<Module> {
    let mut facts = MODULEINFO::default();
    let size = u32::try_from(size_of::<MODULEINFO>()).ok()?;
    // SAFETY: the handle is open, and the structure is as long as said.
    let done = unsafe { K32GetModuleInformation(process.as_raw_handle(), handle, &raw mut facts, size) };
    let mut path = vec![0_u16; MOST_OF_PATH];
    let most = u32::try_from(path.len()).ok()?;
    // SAFETY: the handle is open, and the buffer has as many units as are said.
    let length = unsafe { K32GetModuleFileNameExW(process.as_raw_handle(), handle, path.as_mut_ptr(), most) };
    let path = path.get(..usize::try_from(length).ok()?).unwrap_or_default();
    (done != 0 && facts.SizeOfImage > 0).then(|| Module {
        base: facts.lpBaseOfDll.addr() as u64,
        size: facts.SizeOfImage.into(),
        path: String::from_utf16_lossy(path).into_bytes(),
        soname: None,
        version: None,
        id: None,
        is_main: false,
        deleted: false,
    })
}
