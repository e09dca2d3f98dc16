//! The loader's lists of modules, and what leads to them, overwritten.
//!
//! Places in the structures are told in pointers and bytes, as winternl.h and the symbols of ntdll have them; they are the same
//! in all versions.

use crate::chain;
use crate::control;
use crate::scenario::Arguments;
use crate::sys::{self, NOWHERE, POINTER};
use crate::threads::{STACK, worker_facts};
use std::ptr;

/// `PEB.Ldr` and `PEB.ProcessParameters`.
const LOADER: usize = 3 * POINTER;
const PARAMETERS: usize = 4 * POINTER;
/// `PEB_LDR_DATA.InLoadOrderModuleList`, a `LIST_ENTRY`.
const LOADED: usize = 8 + POINTER;
/// Of a `LDR_DATA_TABLE_ENTRY`: `DllBase`, `SizeOfImage`, `FullDllName` and `BaseDllName`.
const BASE: usize = 6 * POINTER;
const SIZE: usize = 8 * POINTER;
const NAMES: [usize; 2] = [9 * POINTER, 11 * POINTER];
/// Most that the list may have.
const MODULES: usize = 1000;

/// `loader KIND`: three threads are parked, then the structures are overwritten. Nothing that needs them is called any more.
pub fn loader(arguments: &Arguments) {
    let kind = arguments.text(0).unwrap_or_default();
    let damage = KINDS.iter().find(|(known, _)| *known == kind);
    let (_, damage) = damage.unwrap_or_else(|| panic!("unknown kind of damage {kind:?}"));
    let facts = worker_facts(&chain::start_workers(3, STACK));
    damage(sys::peb());
    facts.print();
    control::serve_ping();
}

const KINDS: &[(&str, fn(usize))] = &[
    ("null", |peb| put(peb + LOADER, 0)),
    ("nowhere", |peb| put(peb + LOADER, NOWHERE)),
    ("odd", |peb| put(peb + LOADER, peb + 0xffd)),
    ("kernel", |peb| put(peb + LOADER, usize::MAX - 0xfff)),
    ("end", |peb| put(peb + LOADER, usize::MAX)),
    ("loop", |peb| {
        let first = get(get(peb + LOADER) + LOADED);
        put(first, first);
    }),
    ("cut", |peb| put(get(get(peb + LOADER) + LOADED), NOWHERE)),
    ("names", |peb| each(peb, |entry| NAMES.iter().for_each(|name| lose_text(entry + name)))),
    ("bases", |peb| each(peb, |entry| put(entry + BASE, NOWHERE + entry % 0x1_0000))),
    ("sizes", |peb| each(peb, |entry| put(entry + SIZE, usize::MAX))),
    ("parameters", |peb| put(peb + PARAMETERS, NOWHERE)),
    ("all", |peb| {
        put(peb + LOADER, 0xfdfd_fdfd);
        put(peb + PARAMETERS, 0xfdfd_fdfd);
    }),
];

/// Has `change` see every entry of the list.
fn each(peb: usize, change: impl Fn(usize)) {
    let head = get(peb + LOADER) + LOADED;
    let entries = std::iter::successors(Some(get(head)), |entry| Some(get(*entry)));
    let entries: Vec<usize> = entries.take_while(|entry| *entry != head).take(MODULES).collect();
    entries.into_iter().for_each(change);
}

/// Makes a `UNICODE_STRING` a long one of what is not there.
fn lose_text(text: usize) {
    // SAFETY: the first two numbers of the structure are its lengths.
    unsafe { ptr::write(ptr::with_exposed_provenance_mut(text), [0xfffe_u16; 2]) };
    put(text + POINTER, NOWHERE);
}

fn get(address: usize) -> usize {
    // SAFETY: the structures of the loader are there, and aligned.
    unsafe { ptr::read(ptr::with_exposed_provenance(address)) }
}

fn put(address: usize, value: usize) {
    // SAFETY: as above; whoever uses the structures from now on is lost, and nobody does.
    unsafe { ptr::write(ptr::with_exposed_provenance_mut(address), value) };
}
