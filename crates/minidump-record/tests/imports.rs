//! What the object code refers to: compiled by itself, and followed from `Recorder::record` on.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::process::Command;

/// Functions that the compiler calls by itself. They are asynchronously signal-safe.
const COMPILER: [&str; 5] = ["bcmp", "memcmp", "memcpy", "memmove", "memset"];

fn compile(options: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("record.o");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let status = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--crate-name",
            "minidump_record",
            "--emit",
            "obj",
        ])
        .args(["-C", "panic=abort", "-C", "codegen-units=1", "-C", "link-dead-code"])
        .args(options)
        .arg("-o")
        .arg(&object)
        .arg(source)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::read(object).unwrap()
}

/// Names outside of the crate that can be reached from functions whose mangled name contains one of `roots`.
fn reached(object: &[u8], roots: &[&str]) -> BTreeSet<String> {
    let file = object::File::parse(object).unwrap();
    let mut left: Vec<SectionIndex> = Vec::new();
    for root in roots {
        let is_root = |symbol: &object::Symbol<'_, '_>| {
            symbol.is_definition() && symbol.name().is_ok_and(|name| name.contains(root))
        };
        let found = file.symbols().filter(is_root).filter_map(|symbol| symbol.section_index());
        let before = left.len();
        left.extend(found);
        assert!(left.len() > before, "no function {root}");
    }
    let mut seen: HashSet<SectionIndex> = left.iter().copied().collect();
    let mut outside = BTreeSet::new();
    // Each function has a section of its own, and so have the tables that it refers to.
    while let Some(index) = left.pop() {
        for (_, relocation) in file.section_by_index(index).unwrap().relocations() {
            let RelocationTarget::Symbol(target) = relocation.target() else {
                panic!("a target without a symbol")
            };
            let symbol = file.symbol_by_index(target).unwrap();
            match symbol.section_index() {
                Some(section) if seen.insert(section) => left.push(section),
                Some(_) => {}
                None => {
                    outside.insert(symbol.name().unwrap().to_owned());
                }
            }
        }
    }
    outside
}

/// The crash path. `set` is used without a crash, but from signal handlers, too.
const CRASH_PATH: [&str; 3] = ["Recorder6record", "Context13from_ucontext", "Annotations3set"];

#[test]
fn the_crash_path_refers_to_nothing_but_what_the_compiler_needs() {
    for level in ["opt-level=2", "opt-level=3", "opt-level=s"] {
        let outside = reached(&compile(&["-C", level]), &CRASH_PATH);
        let others: Vec<_> = outside.iter().filter(|name| !COMPILER.contains(&name.as_str())).collect();
        assert!(others.is_empty(), "{level}, not even to a panic: {others:?}");
        assert!(outside.contains("memcpy"), "the search does find references: {outside:?}");
    }
}

#[test]
fn the_search_would_see_a_panic() {
    let outside = reached(&compile(&["-C", "debug-assertions=on"]), &CRASH_PATH);
    assert!(outside.iter().any(|name| name.contains("panicking")), "{outside:?}");
}

#[test]
fn the_whole_crate_refers_to_no_c_library_nor_allocator_in_a_debug_build() {
    let object = compile(&["-C", "debug-assertions=on"]);
    let file = object::File::parse(object.as_slice()).unwrap();
    let names =
        file.symbols().filter(ObjectSymbol::is_undefined).map(|symbol| symbol.name().unwrap().to_owned());
    let others: Vec<_> = names
        .filter(|name| !name.is_empty() && !COMPILER.contains(&name.as_str()) && !is_of_core(name))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

/// A Rust symbol of the crate `core`, in either mangling.
fn is_of_core(name: &str) -> bool {
    (name.starts_with("_R") && name.contains("_4core")) || name.starts_with("_ZN4core")
}
