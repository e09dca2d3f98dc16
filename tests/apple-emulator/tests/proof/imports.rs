//! What the libraries take from macOS.

use crate::places::{ARCHS, hand_over_library, library};
use apple_emulator::MachO;

/// All that they may take: one name a line, below headings that say what for.
const ALLOWED: &str = include_str!("allowed_imports.txt");

/// What the hand-over may take besides.
const ALLOWED_OF_THE_HAND_OVER: &str = include_str!("allowed_imports_of_the_hand_over.txt");

fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| line.starts_with(|first| "_d".contains(first)))
}

fn assert_among<'a>(library: &'a MachO, allowed: &[&str]) -> Vec<&'a str> {
    let imports = library.imports();
    let others: Vec<&&str> = imports.iter().filter(|name| !allowed.contains(name)).collect();
    assert!(others.is_empty(), "{:?}: {others:?}", library.arch);
    imports
}

#[test]
fn the_libraries_import_nothing_that_is_not_on_the_list() {
    let allowed: Vec<&str> = names(ALLOWED).collect();
    for arch in ARCHS {
        let library = library(arch);
        let imports = assert_among(&library, &allowed);
        assert!(imports.contains(&"_task_threads") && imports.contains(&"_mach_vm_read_overwrite"));
    }
}

#[test]
fn the_hand_over_imports_nothing_that_is_not_on_its_list() {
    let allowed: Vec<&str> = names(ALLOWED).chain(names(ALLOWED_OF_THE_HAND_OVER)).collect();
    for arch in ARCHS {
        let library = hand_over_library(arch);
        let imports = assert_among(&library, &allowed);
        assert!(imports.contains(&"_mach_msg") && imports.contains(&"_task_swap_exception_ports"));
    }
}
