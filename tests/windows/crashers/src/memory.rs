//! Address spaces with much in them.

use crate::chain::{self, Pattern};
use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys::{self, PAGE};
use crate::threads::{STACK, worker_facts};
use std::ptr;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RESERVE, PAGE_GUARD, PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE, VirtualAlloc,
    VirtualProtect,
};

/// `many-regions N`: one allocation of N regions (default 10,000), whose pages are writable and read-only by turns.
pub fn many_regions(arguments: &Arguments) {
    let count = arguments.parsed(0, 10_000);
    let workers = chain::start_workers(2, STACK);
    let start = sys::fresh_memory(count * PAGE);
    for address in (start..start + count * PAGE).step_by(2 * PAGE) {
        protect(address, PAGE_READONLY);
    }
    worker_facts(&workers).size("start", start).size("count", count).print();
    control::serve_ping();
}

/// `memory`: known bytes in memory that nothing points at, and pages that cannot be read beside them.
pub fn memory(_: &Arguments) {
    const PAGES: usize = 64;
    let workers = chain::start_workers(2, STACK);
    let start = sys::fresh_memory(PAGES * PAGE);
    let places: Vec<usize> =
        [0, 7, 33, PAGES - 1].into_iter().map(|page| start + page * PAGE + 512).collect();
    for (seed, address) in (100..).zip(&places) {
        // SAFETY: the place is inside a writable allocation that nobody else uses, aligned to 512 bytes.
        unsafe { ptr::write(ptr::with_exposed_provenance_mut(*address), Pattern::new(seed, 7)) };
    }
    let (hidden, guarded) = (start + 20 * PAGE, start + 40 * PAGE);
    protect(hidden, PAGE_NOACCESS);
    protect(guarded, PAGE_READWRITE | PAGE_GUARD);
    let patterns = (100..).zip(&places).map(|(seed, address)| {
        Facts::part().size("address", *address).bytes("bytes", &Pattern::new(seed, 7).bytes())
    });
    worker_facts(&workers)
        .size("start", start)
        .size("size", PAGES * PAGE)
        .objects("patterns", patterns)
        .size("hidden", hidden)
        .size("guarded", guarded)
        .size("reserved", reserved(PAGES * PAGE))
        .print();
    control::serve_ping();
}

/// Addresses that are kept free.
fn reserved(length: usize) -> usize {
    // SAFETY: a new reservation at an address of the system's choice disturbs no existing memory.
    let address = unsafe { VirtualAlloc(ptr::null(), length, MEM_RESERVE, PAGE_NOACCESS) };
    assert!(!address.is_null(), "VirtualAlloc");
    // SAFETY: one page in the middle of the reservation is made memory.
    let page =
        unsafe { VirtualAlloc(address.wrapping_byte_add(length / 2), PAGE, MEM_COMMIT, PAGE_READWRITE) };
    assert!(!page.is_null(), "VirtualAlloc");
    address.expose_provenance()
}

/// Changes the rights of one page of our own.
fn protect(address: usize, protection: u32) {
    let mut before = 0;
    // SAFETY: nobody but the caller uses the page; the old rights are written to a local.
    let done =
        unsafe { VirtualProtect(ptr::with_exposed_provenance(address), PAGE, protection, &raw mut before) };
    sys::check("VirtualProtect", done);
}
