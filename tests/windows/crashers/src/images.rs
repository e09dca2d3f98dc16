//! Modules that come, go, or have lost their headers.

use crate::chain;
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys::{self, PAGE};
use crate::threads::{STACK, worker_facts};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use windows_sys::Win32::Foundation::{FreeLibrary, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, LoadLibraryW};
use windows_sys::Win32::System::Memory::{PAGE_READWRITE, VirtualProtect};

/// A library of the system that nothing here needs.
const LIBRARY: &str = "winmm.dll";

/// `header-wiped [garbage]`: the first page of the program's own image is overwritten, with zeros or with garbage.
pub fn header_wiped(arguments: &Arguments) {
    let filling = if arguments.text(0) == Some("garbage") { 0xfd } else { 0 };
    let workers = chain::start_workers(2, STACK);
    // SAFETY: a null pointer asks for the program itself, which is never unloaded.
    let base = unsafe { GetModuleHandleW(ptr::null()) };
    let mut before = 0;
    // SAFETY: the first page has the headers alone. What looks at them from now on is this process's risk.
    unsafe {
        sys::check("VirtualProtect", VirtualProtect(base, PAGE, PAGE_READWRITE, &raw mut before));
        ptr::write_bytes(base.cast::<u8>(), filling, PAGE);
    }
    worker_facts(&workers).size("base", base.expose_provenance()).print();
    control::serve_ping();
}

/// `load-churn`: a thread loads and unloads a library all the time.
pub fn load_churn(_: &Arguments) {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let workers = chain::start_workers(2, STACK);
    std::thread::spawn(|| {
        loop {
            unload(load());
            ROUNDS.fetch_add(1, Ordering::Relaxed);
        }
    });
    sys::wait_until("the first round", || ROUNDS.load(Ordering::Relaxed) > 0);
    worker_facts(&workers).print();
    control::serve_counter(|| ROUNDS.load(Ordering::Relaxed));
}

/// `unloaded`: a library was loaded and is no more.
pub fn unloaded(_: &Arguments) {
    let library = load();
    unload(library);
    Facts::new().text("name", LIBRARY).size("base", library.expose_provenance()).print();
    control::serve_ping();
}

fn load() -> HMODULE {
    // SAFETY: the name is ended by a zero, and the library's initialisers do nothing but set themselves up.
    let library = unsafe { LoadLibraryW(sys::wide(LIBRARY).as_ptr()) };
    assert!(!library.is_null(), "{LIBRARY} can be loaded");
    library
}

fn unload(library: HMODULE) {
    // SAFETY: it was loaded once more than it was unloaded, and nothing of it is used.
    sys::check("FreeLibrary", unsafe { FreeLibrary(library) });
}
