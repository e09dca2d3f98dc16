//! The programs of `tests/apple/programs`, built for macOS on Linux: once for all tests that have the same sources.

use crate::Arch;
use crate::tools::{Tools, target};
use end_to_end::process;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A program: its file, its source, and what the linker is told.
struct Program {
    name: &'static str,
    source: &'static str,
    code: &'static str,
    link: &'static [&'static str],
}

macro_rules! program {
    ($name:literal, $source:literal, $($link:literal),+) => {
        Program {
            name: $name,
            source: $source,
            code: include_str!(concat!("../programs/", $source)),
            link: &[$($link),+],
        }
    };
}

/// In the order of building: the later ones are linked with the earlier ones. The system's are in a folder of their own,
/// so that readers do not find them beside the executable.
const PROGRAMS: [Program; 7] = [
    program!("dyld", "dyld.c", "-dylib", "-install_name", "/usr/lib/dyld"),
    program!(
        "libsystem_kernel.dylib",
        "kernel.c",
        "-dylib",
        "-install_name",
        "/usr/lib/system/libsystem_kernel.dylib"
    ),
    program!(
        "libsystem_pthread.dylib",
        "threads.c",
        "-dylib",
        "-install_name",
        "/usr/lib/system/libsystem_pthread.dylib",
        "system/libsystem_kernel.dylib"
    ),
    program!(
        "libsystem_c.dylib",
        "libc.c",
        "-dylib",
        "-install_name",
        "/usr/lib/system/libsystem_c.dylib",
        "system/libsystem_pthread.dylib"
    ),
    program!(
        "libcrash.dylib",
        "crash.c",
        "-dylib",
        "-install_name",
        "@rpath/libcrash.dylib",
        "-current_version",
        "1.2.3"
    ),
    program!("plugin.bundle", "plugin.c", "-bundle"),
    program!(
        "crasher",
        "crasher.c",
        "-e",
        "_main",
        "libcrash.dylib",
        "system/libsystem_pthread.dylib",
        "system/libsystem_c.dylib"
    ),
];

/// Those that readers have with their debug information: as at a developer, who has no system libraries of others.
pub const OURS: [&str; 3] = ["crasher", "libcrash.dylib", "plugin.bundle"];

const SYSTEM_FOLDER: &str = "system";

/// Where the program called `name` lies.
fn place(name: &str) -> String {
    if OURS.contains(&name) { name.to_owned() } else { format!("{SYSTEM_FOLDER}/{name}") }
}

const STUB: &str = include_str!("../programs/libSystem.tbd");
/// With unwind tables, as all programs of Macs; calls stay calls, so that no frame disappears.
const COMPILE: [&str; 6] =
    ["-O1", "-g", "-ffreestanding", "-funwind-tables", "-fno-stack-protector", "-fno-optimize-sibling-calls"];
const SYSTEM: [&str; 4] = ["-platform_version", "macos", "11.0", "14.0"];

/// The folder of the programs for one processor.
#[derive(Debug, Clone, Copy)]
pub struct Built(&'static Path);

impl Built {
    /// The program called `name`.
    pub fn path(self, name: &str) -> PathBuf {
        self.0.join(place(name))
    }

    /// The folder of the system's libraries.
    pub fn system(self) -> PathBuf {
        self.0.join(SYSTEM_FOLDER)
    }

    /// The file with the debug information of the program called `name`.
    pub fn debug_information(self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.dSYM/Contents/Resources/DWARF/{name}"))
    }
}

/// The programs for `arch`.
#[track_caller]
pub fn built(tools: &Tools, arch: Arch) -> Built {
    static FOLDERS: [OnceLock<PathBuf>; 2] = [const { OnceLock::new() }; 2];
    Built(FOLDERS[arch as usize].get_or_init(|| {
        let folder = target().join(format!("apple-programs/{:016x}/{}", fingerprint(), arch.name()));
        if !folder.is_dir() {
            build(tools, arch, &folder);
        }
        folder
    }))
}

/// Of all that the result depends on, but for the tools.
fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    (STUB, COMPILE, SYSTEM).hash(&mut hasher);
    for program in &PROGRAMS {
        (program.name, program.code, program.link).hash(&mut hasher);
    }
    hasher.finish()
}

/// Builds in a folder beside `folder` and gives it its name when all is there: other tests may do the same at this moment.
fn build(tools: &Tools, arch: Arch, folder: &Path) {
    let parent = folder.parent().unwrap();
    std::fs::create_dir_all(parent).unwrap();
    let made = tempfile::tempdir_in(parent).unwrap();
    std::fs::write(made.path().join("libSystem.tbd"), STUB).unwrap();
    std::fs::create_dir(made.path().join(SYSTEM_FOLDER)).unwrap();
    for program in &PROGRAMS {
        std::fs::write(made.path().join(program.source), program.code).unwrap();
        let object = format!("{}.o", program.source);
        let mut clang = Command::new(&tools.clang);
        clang.args(["-target", &format!("{}-apple-macos11", arch.name())]).args(COMPILE);
        run(clang.args(["-c", program.source, "-o", &object]), made.path());
        let mut linker = Command::new(&tools.linker);
        linker.args(["-arch", arch.name()]).args(SYSTEM).args(["-L", ".", "-lSystem"]);
        run(linker.args(program.link).args([&object, "-o", &place(program.name)]), made.path());
        if OURS.contains(&program.name) {
            run(Command::new(&tools.dsymutil).arg(program.name), made.path());
        }
    }
    if let Err(error) = std::fs::rename(made.path(), folder) {
        assert!(folder.is_dir(), "{}: {error}", folder.display());
    }
}

#[track_caller]
fn run(command: &mut Command, folder: &Path) {
    process::run(command.current_dir(folder)).expect_success("building a program for macOS");
}
