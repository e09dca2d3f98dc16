//! Mappings that mislead: headers overwritten, files replaced, thousands of them.

use crate::chain;
use crate::control;
use crate::scenario::Arguments;
use crate::sys;
use libc::{PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE};
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

const PAGE: usize = 4096;

/// `elf-header-wiped`: the first page of the executable and of the C library are overwritten in memory.
pub fn elf_header_wiped(_: &Arguments) {
    let workers = chain::start_workers(3, 256 * 1024);
    let program = std::env::current_exe().expect("/proc/self/exe is readable");
    let program = sys::mapping_named(&program.to_string_lossy()).expect("the program is mapped").0;
    let library = sys::mapping_named("/libc.so.6").expect("the C library is mapped").0;
    let facts = crate::threads::worker_facts(&workers).size("program", program).size("library", library);
    wipe(program);
    wipe(library);
    facts.print();
    control::serve_ping();
}

fn wipe(page: usize) {
    // SAFETY: the page holds ELF headers, which only an unwinder or the loader would read again; this program does
    // not unwind, load or exit through exit handlers afterwards.
    unsafe {
        sys::protect(page, PAGE, PROT_READ | PROT_WRITE);
        std::ptr::write_bytes(page as *mut u8, 0xcc, PAGE);
        sys::protect(page, PAGE, PROT_READ);
    }
}

/// `path-replaced DIR KIND`: maps a copy of the program, DIR/mapped.so, executable, then puts something else under
/// that path: `fifo`, `socket`, `directory`, `device` (needs root; a character device that never ends), or another
/// `file`.
pub fn path_replaced(arguments: &Arguments) {
    let path = Path::new(arguments.raw(0).expect("path-replaced DIR KIND")).join("mapped.so");
    std::fs::copy("/proc/self/exe", &path).expect("the program can be copied");
    let file = File::open(&path).expect("the copy was just made");
    let length =
        usize::try_from(file.metadata().expect("the copy is open").len()).expect("a program fits memory");
    let (protection, flags) = (PROT_READ | PROT_EXEC, libc::MAP_PRIVATE);
    // SAFETY: a new mapping at an address of the kernel's choice disturbs no existing memory.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, file.as_raw_fd(), 0) };
    assert_ne!(address, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
    std::fs::remove_file(&path).expect("the copy was just made");
    put_in_place(&path, arguments.text(1).unwrap_or("fifo"));
    let workers = chain::start_workers(2, 256 * 1024);
    crate::threads::worker_facts(&workers).size("address", address as usize).size("size", length).print();
    control::serve_ping();
}

fn put_in_place(path: &Path, kind: &str) {
    let name = sys::c_path(path);
    match kind {
        // SAFETY: the path ends with NUL.
        "fifo" => drop(sys::check("mkfifo", unsafe { libc::mkfifo(name.as_ptr(), 0o600) })),
        "device" => {
            let zero = libc::makedev(1, 5);
            // SAFETY: the path ends with NUL.
            sys::check("mknod", unsafe { libc::mknod(name.as_ptr(), libc::S_IFCHR | 0o600, zero) });
        }
        "socket" => std::mem::forget(UnixListener::bind(path).expect("the path is free")),
        "directory" => std::fs::create_dir(path).expect("the path is free"),
        _ => std::fs::write(path, b"not the file that was mapped").expect("the path is free"),
    }
}

/// `many-maps N`: N one-page mappings (default 10,000) in one area, with rights that alternate so that the kernel
/// cannot join them.
pub fn many_maps(arguments: &Arguments) {
    const RIGHTS: [c_int; 3] = [PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE];
    let count: usize = arguments.parsed(0, 10_000);
    let workers = chain::start_workers(3, 256 * 1024);
    let area = sys::map_anonymous(count * PAGE, PROT_NONE);
    for (index, rights) in RIGHTS.iter().cycle().take(count).enumerate() {
        // SAFETY: the pages are fresh; nobody uses them.
        unsafe { sys::protect(area + index * PAGE, PAGE, *rights) };
    }
    crate::threads::worker_facts(&workers).size("area", area).size("count", count).print();
    control::serve_ping();
}
