//! Processes with a lot of memory, and with memory that a dump leaves out.

use crate::chain::{self, Pattern};
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use libc::{PROT_NONE, PROT_READ, PROT_WRITE};
use std::ffi::c_void;
use std::path::Path;

const PAGE: usize = 4096;

/// `memory MIB touched|sparse [DIR] [DEVICE]`: a mapping of that size with known bytes at both ends and in the middle;
/// when touched, every other page begins with its address. Beside it, a mapping of which MADV_DONTDUMP was asked, one
/// without rights, with DIR one of a file that ends in its middle, and with DEVICE one of that file, which nobody reads.
pub fn memory(arguments: &Arguments) {
    let workers = chain::start_workers(2, 256 * 1024);
    let size = arguments.parsed(0, 64usize) << 20;
    let start = sys::map_anonymous(size, PROT_READ | PROT_WRITE);
    if arguments.text(1) == Some("touched") {
        for page in (start..start + size).step_by(PAGE) {
            // SAFETY: the page is inside the fresh writable mapping.
            unsafe { std::ptr::write(page as *mut u64, page as u64) };
        }
    }
    let length = chain::PATTERN_LENGTH;
    let places = [start + length, start + size / 2 + length, start + size - length];
    let patterns = places.into_iter().zip(0u8..).map(|(address, level)| known_bytes(address, 31, level));
    let (excluded, forbidden) = (excluded(), sys::map_anonymous(16 * PAGE, PROT_NONE));
    let mut facts = crate::threads::worker_facts(&workers)
        .size("start", start)
        .size("size", size)
        .objects("patterns", patterns)
        .object("excluded", &excluded)
        .object("forbidden", &Facts::part().size("address", forbidden).size("size", 16 * PAGE));
    if let Some(directory) = arguments.raw(2) {
        facts = facts.object("cut", &half_a_file(Path::new(directory)));
    }
    if let Some(device) = arguments.raw(3) {
        let address = map_file(Path::new(device), PAGE);
        facts = facts.object("device", &Facts::part().size("address", address).size("size", PAGE));
    }
    facts.print();
    control::serve_ping();
}

/// Writes known bytes to `address`.
fn known_bytes(address: usize, seed: u32, level: u8) -> Facts {
    // SAFETY: the callers pass places of a pattern's size and alignment in writable mappings of their own.
    unsafe { std::ptr::write(address as *mut Pattern, Pattern::new(seed, level)) };
    Facts::part().size("address", address).bytes("bytes", &Pattern::new(seed, level).bytes())
}

fn excluded() -> Facts {
    let address = sys::map_anonymous(16 * PAGE, PROT_READ | PROT_WRITE);
    let facts = known_bytes(address, 32, 0);
    // SAFETY: the advice concerns a mapping of this function's own and changes no contents.
    let result = unsafe { libc::madvise(address as *mut c_void, 16 * PAGE, libc::MADV_DONTDUMP) };
    sys::check("madvise(MADV_DONTDUMP)", result);
    facts.size("size", 16 * PAGE)
}

/// Maps two pages of a file that is then cut to one: reading the second fails.
fn half_a_file(directory: &Path) -> Facts {
    let path = directory.join("half");
    let pattern = Pattern::new(33, 0).bytes();
    let contents: Vec<u8> = pattern.iter().copied().cycle().take(2 * PAGE).collect();
    std::fs::write(&path, contents).expect("the directory is writable");
    let address = map_file(&path, 2 * PAGE);
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("the file was just made");
    file.set_len(PAGE as u64).expect("a file can be cut");
    Facts::part().size("address", address).size("size", 2 * PAGE).bytes("bytes", &pattern)
}

fn map_file(path: &Path, length: usize) -> usize {
    // SAFETY: the path ends with NUL; a new mapping at an address of the kernel's choice disturbs no existing memory,
    // and the descriptor is not needed once it is there.
    unsafe {
        let file = sys::check("open", libc::open(sys::c_path(path).as_ptr(), libc::O_RDONLY));
        let address = libc::mmap(std::ptr::null_mut(), length, PROT_READ, libc::MAP_SHARED, file, 0);
        assert_ne!(address, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        libc::close(file);
        address as usize
    }
}
