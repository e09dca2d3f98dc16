//! The dynamic loader's list of libraries, made circular or filled with garbage.

use crate::chain;
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::ffi::{CStr, c_int, c_void};

/// Dynamic section tag that holds the address of `r_debug` (elf.h, `DT_DEBUG`).
const DT_DEBUG: u64 = 21;
/// An address where nothing is mapped.
const NOWHERE: u64 = 0x4141_4141_4141;

/// `struct link_map` of link.h, the public part.
#[repr(C)]
struct LinkMap {
    base: u64,
    name: u64,
    dynamic: u64,
    next: *mut LinkMap,
    previous: *mut LinkMap,
}

/// `struct r_debug` of link.h.
#[repr(C)]
struct RDebug {
    version: c_int,
    map: *mut LinkMap,
    brk: u64,
    state: c_int,
    ldbase: u64,
}

/// `loads-on-demand`: the command `load` loads a library of the system, `thread` starts a thread.
pub fn loads_on_demand(_: &Arguments) {
    const LIBRARY: &CStr = c"libresolv.so.2";
    Facts::new().print();
    control::serve(|command| match command {
        "load" => {
            // SAFETY: the name is a C string, and the library's initialisers do nothing but set themselves up.
            let handle = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW) };
            assert!(!handle.is_null(), "the library can be loaded");
            Facts::new().text("library", &LIBRARY.to_string_lossy())
        }
        "thread" => {
            let (send, receive) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                send.send(sys::thread_id()).expect("the main thread listens");
                loop {
                    std::thread::park();
                }
            });
            let tid: u32 = receive.recv().expect("the thread runs");
            Facts::new().number("tid", tid)
        }
        _ => Facts::new().flag("pong", true),
    });
}

/// `link-map-loop`: the last entry of the list points back to the first.
pub fn link_map_loop(_: &Arguments) {
    corrupt(|debug| {
        let mut last = debug.map;
        // SAFETY: the list is still as the loader made it, and no library is loaded meanwhile.
        unsafe {
            while !(*last).next.is_null() {
                last = (*last).next;
            }
            (*last).next = debug.map;
        }
    });
}

/// `link-map-garbage [next|name|self|map]`: an entry's successor or name points nowhere, an entry is its own
/// successor, or the head of the list points nowhere. Default `next`.
pub fn link_map_garbage(arguments: &Arguments) {
    let what = arguments.text(0).unwrap_or("next");
    corrupt(|debug| damage(debug, what));
}

/// Damages the list as [`link_map_garbage`] tells. The program must not load libraries or unwind afterwards.
pub fn damage_lists(what: &str) {
    // SAFETY: the loader keeps the structure for the life of the process; the caller keeps to the condition above.
    damage(unsafe { &mut *r_debug() }, what);
}

fn damage(debug: &mut RDebug, what: &str) {
    // SAFETY: a program with a C library has at least two entries: itself and the library.
    let second = unsafe { &mut *(*debug.map).next };
    match what {
        "name" => second.name = NOWHERE,
        "self" => second.next = second,
        "map" => debug.map = NOWHERE as *mut LinkMap,
        _ => second.next = NOWHERE as *mut LinkMap,
    }
}

fn corrupt(do_damage: impl FnOnce(&mut RDebug)) {
    let workers = chain::start_workers(3, 256 * 1024);
    let debug = r_debug();
    // SAFETY: the loader keeps the structure for the life of the process. Nobody walks the list any more: this
    // program neither loads libraries nor unwinds, and it leaves through _exit.
    do_damage(unsafe { &mut *debug });
    crate::threads::worker_facts(&workers).size("r_debug", debug as usize).print();
    control::serve_ping();
}

/// The structure that the executable's dynamic section points to.
fn r_debug() -> *mut RDebug {
    let mut found = 0u64;
    // SAFETY: the call-back gets `found` back as its data and lives through the call.
    unsafe { libc::dl_iterate_phdr(Some(first_program), (&raw mut found).cast()) };
    assert_ne!(found, 0, "the dynamic section has a DT_DEBUG");
    found as *mut RDebug
}

/// Finds `DT_DEBUG` of the first object, which is the executable, and ends the iteration.
unsafe extern "C" fn first_program(info: *mut libc::dl_phdr_info, _: usize, data: *mut c_void) -> c_int {
    // SAFETY: the loader passes a valid structure whose program headers and dynamic section are mapped; the dynamic
    // section ends with a DT_NULL entry.
    unsafe {
        let headers = std::slice::from_raw_parts((*info).dlpi_phdr, usize::from((*info).dlpi_phnum));
        let Some(dynamic) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) else { return 1 };
        let mut entry = ((*info).dlpi_addr + dynamic.p_vaddr) as *const [u64; 2];
        while (*entry)[0] != 0 {
            if (*entry)[0] == DT_DEBUG {
                *data.cast::<u64>() = (*entry)[1];
            }
            entry = entry.add(1);
        }
    }
    1
}
