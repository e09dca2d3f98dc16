//! The structures of this process, as it knows them itself.
#![expect(unsafe_code, reason = "calls of the system")]

use super::super::image_files::LocalFiles;
use super::super::images::unload_trace;
use super::super::memory::ProcessMemory;
use super::super::{ntdll, regions};
use crate::snapshot::{MemorySource, ReadOutcome, SoftError};
use crate::windows_process::{LoaderFacts, PointerSize, ProcessView, examine};
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use std::sync::Arc;
use windows_sys::Win32::Foundation::{FreeLibrary, HMODULE};
use windows_sys::Win32::System::LibraryLoader::LoadLibraryA;
use windows_sys::Win32::System::ProcessStatus::{
    K32EnumProcessModules, K32GetModuleFileNameExW, K32GetModuleInformation, MODULEINFO,
};
use windows_sys::Win32::System::Threading::{OpenProcess, PROCESS_QUERY_INFORMATION, PROCESS_VM_READ};

fn this_process() -> Arc<OwnedHandle> {
    // SAFETY: takes numbers alone.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, 0, std::process::id()) };
    assert!(!handle.is_null());
    // SAFETY: the handle was just made, and nobody else knows it.
    Arc::new(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Memory of which one page cannot be read.
struct WithoutPage(ProcessMemory, u64);

impl MemorySource for WithoutPage {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        if (self.1..self.1 + 0x1000).contains(&address) {
            return ReadOutcome::unreadable(0, None);
        }
        self.0.read(address, buffer)
    }
}

/// The facts of this process without the page at `hidden`, and the soft errors.
fn facts(hidden: u64) -> (LoaderFacts, Vec<SoftError>) {
    let process = this_process();
    // PROCESS_BASIC_INFORMATION: the exit status, the block's address, four more.
    // SAFETY: numbers are valid whatever their bytes.
    let basic: [usize; 6] = unsafe { ntdll::process_information(process.as_handle(), 0) }.unwrap();
    let address_space = regions::query(process.as_handle());
    let mut mapped = regions::mapped(&address_space);
    regions::name_files(process.as_handle(), &address_space, &mut mapped);
    let memory = WithoutPage(ProcessMemory::new(Arc::clone(&process), &mapped), hidden);
    let view = ProcessView {
        memory: &memory,
        regions: &mapped,
        address_space: &address_space,
        pointer_size: if cfg!(target_pointer_width = "64") { PointerSize::Eight } else { PointerSize::Four },
        peb: basic[1] as u64,
        tebs: &[],
        native: None,
        files: &LocalFiles::new(),
        unload_trace: unload_trace(),
    };
    let mut errors = Vec::new();
    (examine(&view, &mut errors), errors)
}

/// Address, size and path in small letters of the modules, the main one first, as the documented calls tell them.
fn listed() -> Vec<(u64, u64, String)> {
    let process = this_process();
    let mut handles: Vec<HMODULE> = vec![null_mut(); 1024];
    let size = u32::try_from(size_of_val(handles.as_slice())).unwrap();
    let mut came = 0;
    // SAFETY: the handle is open, and the list is as long as said.
    let done =
        unsafe { K32EnumProcessModules(process.as_raw_handle(), handles.as_mut_ptr(), size, &raw mut came) };
    assert_ne!(done, 0);
    handles.truncate(came as usize / size_of::<HMODULE>());
    let module = |handle: &HMODULE| {
        let (mut facts, mut path) = (MODULEINFO::default(), [0_u16; 512]);
        let size = u32::try_from(size_of::<MODULEINFO>()).unwrap();
        // SAFETY: the handle is open, and the structure is as long as said.
        let done = unsafe { K32GetModuleInformation(process.as_raw_handle(), *handle, &raw mut facts, size) };
        assert_ne!(done, 0);
        // SAFETY: the handle is open, and the buffer has as many units as are said.
        let length =
            unsafe { K32GetModuleFileNameExW(process.as_raw_handle(), *handle, path.as_mut_ptr(), 512) };
        let path = String::from_utf16(&path[..length as usize]).unwrap().to_lowercase();
        (facts.lpBaseOfDll.addr() as u64, u64::from(facts.SizeOfImage), path)
    };
    handles.iter().map(module).collect()
}

#[test]
fn the_modules_are_those_that_the_system_lists() {
    let (facts, _) = facts(0);
    let expected = listed();
    assert!(expected.len() > 3);
    for (base, size, path) in &expected {
        let found = facts.modules.iter().find(|module| module.base == *base).expect("found");
        assert_eq!((found.size, &String::from_utf8_lossy(&found.path).to_lowercase()), (*size, path));
        assert_eq!(found.is_main, *base == expected[0].0);
    }
}

#[test]
fn parameters_are_those_of_this_process() {
    let (facts, _) = facts(0);
    let executable = String::from_utf8(facts.executable.expect("found")).unwrap();
    let name = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(executable.ends_with(&name), "{executable}");
    let command_line = facts.command_line.expect("found");
    assert!(std::env::args().skip(1).all(|argument| command_line.contains(&argument)), "{command_line}");
    let text = String::from_utf16(&facts.environment.expect("found").text).unwrap();
    let path = format!("\0PATH={}\0", std::env::var("PATH").unwrap()).to_lowercase();
    assert!(format!("\0{text}").to_lowercase().contains(&path), "{text:?}");
}

#[test]
fn a_module_that_was_unloaded_is_listed() {
    // SAFETY: the name ends with a zero; nothing of the library is used.
    let library = unsafe { LoadLibraryA(c"mpr.dll".as_ptr().cast()) };
    assert!(!library.is_null());
    let base = library.addr() as u64;
    // SAFETY: the library was just loaded, and nothing of it is used.
    assert_ne!(unsafe { FreeLibrary(library) }, 0);
    let (facts, errors) = facts(0);
    let found = facts.unloaded_modules.iter().find(|module| module.base == base);
    let found = found.unwrap_or_else(|| panic!("{:?} {errors:?}", facts.unloaded_modules));
    assert_eq!(found.name.to_lowercase(), "mpr.dll");
    assert!(found.size > 0x1000 && found.time_stamp != 0);
}

#[test]
fn an_image_whose_headers_cannot_be_read_is_known_by_its_file() {
    let (whole, _) = facts(0);
    let of_main = |facts: &LoaderFacts| {
        let at = facts.modules.iter().position(|module| module.is_main).expect("found");
        (facts.modules[at].clone(), facts.images[at].clone())
    };
    let expected = of_main(&whole);
    let (facts, errors) = facts(expected.0.base);
    assert_eq!(of_main(&facts), expected);
    let about_main: Vec<&SoftError> =
        errors.iter().filter(|error| error.address == Some(expected.0.base)).collect();
    let [error] = about_main.as_slice() else { panic!("{errors:?}") };
    assert!(error.message.ends_with("its headers cannot be read; its file's are taken"), "{error}");
}
