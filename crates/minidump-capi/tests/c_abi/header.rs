//! The header and what the shared library offers.

use crate::built::{WARNINGS, package, shared_library};
use end_to_end::process;
use object::elf::{DT_FLAGS_1, DT_SONAME, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _};
use std::collections::BTreeSet;
use std::process::Command;

/// DF_1_NODELETE of <elf.h>.
const NODELETE: u64 = 8;

#[test]
fn the_header_is_clean_in_every_standard() {
    let folder = tempfile::tempdir().unwrap();
    // Twice, as programs do it.
    let text = "#include <minidump_writer.h>\n#include <minidump_writer.h>\nint used(void);\n\
                int used(void) { return mdw_dump_process(1, \"x\"); }\n";
    for (compiler, name, standards) in [
        ("cc", "uses.c", ["c99", "c11", "c17", "gnu2x"]),
        ("c++", "uses.cpp", ["c++98", "c++11", "c++17", "c++20"]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        for standard in standards {
            let mut command = Command::new(compiler);
            command.arg(format!("-std={standard}")).args(WARNINGS).args([
                "-Wconversion",
                "-fsyntax-only",
                "-I",
            ]);
            process::run(command.arg(package().join("include")).arg(&path)).expect_success(standard);
        }
    }
}

/// All functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = std::fs::read_to_string(package().join("include/minidump_writer.h")).unwrap();
    let declarations =
        header.lines().filter(|line| line.starts_with("int ") || line.starts_with("const char *"));
    let names = declarations.filter_map(|line| {
        let (before, _) = line.split_once('(')?;
        before.rsplit([' ', '*']).next().map(str::to_owned)
    });
    names.collect()
}

#[test]
fn the_shared_library_exports_what_the_header_declares_and_pthread_create() {
    let bytes = std::fs::read(shared_library()).unwrap();
    let file = object::File::parse(bytes.as_slice()).unwrap();
    let defined = file.dynamic_symbols().filter(|symbol| symbol.is_definition() && symbol.is_global());
    let exported: BTreeSet<String> = defined.map(|symbol| symbol.name().unwrap().to_owned()).collect();
    let mut expected = declared();
    assert!(expected.contains("mdw_dump_process") && expected.contains("mdw_version"), "{expected:?}");
    expected.insert("pthread_create".into());
    assert_eq!(exported, expected);
}

#[test]
fn the_shared_library_has_a_name_with_the_number_of_its_interface_and_is_never_unloaded() {
    let bytes = std::fs::read(shared_library()).unwrap();
    let header = FileHeader64::<Endianness>::parse(bytes.as_slice()).unwrap();
    let endian = header.endian().unwrap();
    let sections = header.sections(endian, bytes.as_slice()).unwrap();
    let (entries, strings) = sections.dynamic(endian, bytes.as_slice()).unwrap().unwrap();
    let strings = sections.strings(endian, bytes.as_slice(), strings).unwrap();
    let name = entries.iter().find(|entry| entry.tag(endian) == DT_SONAME).unwrap();
    assert_eq!(name.string(endian, strings).unwrap(), b"libminidump_writer.so.0");
    let flags = entries.iter().find(|entry| entry.tag(endian) == DT_FLAGS_1).unwrap();
    assert_ne!(flags.val(endian) & NODELETE, 0);
}
