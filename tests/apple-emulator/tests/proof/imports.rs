//! What the libraries take from macOS.

use crate::places::{ARCHS, library};

/// All that they may take: one name a line, below headings that say what for.
const ALLOWED: &str = include_str!("allowed_imports.txt");

#[test]
fn the_libraries_import_nothing_that_is_not_on_the_list() {
    let allowed: Vec<&str> =
        ALLOWED.lines().filter(|line| line.starts_with(|first| "_d".contains(first))).collect();
    for arch in ARCHS {
        let library = library(arch);
        let imports = library.imports();
        assert!(imports.contains(&"_task_threads") && imports.contains(&"_mach_vm_read_overwrite"));
        let others: Vec<&&str> = imports.iter().filter(|name| !allowed.contains(name)).collect();
        assert!(others.is_empty(), "{arch:?}: {others:?}");
    }
}
