//! Installing what a machine with only the Rust toolchain lacks.

mod apple;
mod apt;
mod cargo_install;
#[cfg(target_os = "linux")]
mod debian;
mod python;

use crate::{
    places,
    shell::{self, Outcome},
};
use cargo_install::Tool;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;

/// A reader of minidumps that this project did not write.
const STACKWALK: Tool =
    Tool { package: "minidump-stackwalk", program: "minidump-stackwalk", version: "0.27", features: None };
/// Checks licences, sources and duplicates of dependencies.
const DENY: Tool = Tool { package: "cargo-deny", program: "cargo-deny", version: "0.20", features: None };
/// The debugger our dumps are tried in, and the name other systems give it; Debian's packages are called the same.
const LLDB_TESTED: &str = "lldb-19";
const LLDB: &[&str] = &[LLDB_TESTED, "lldb"];
/// Debian's newest compiler and its library sources, see [`crate::cross`].
const CROSS_COMPILER: &[&str] = &["rustc-web", "rust-web-src"];
/// C compilers and linkers for Windows by architecture, and Debian's packages of them.
const WINDOWS_COMPILERS: [(&str, &str, &str); 2] = [
    ("x86_64", "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32"),
    ("i686", "i686-w64-mingw32-gcc", "gcc-mingw-w64-i686-win32"),
];

/// Debian's packages of LLVM's linker.
const LLD: &[&str] = &["lld-19", "lld"];

/// A C compiler for musl, by the name that the `cc` crate looks for, and Debian's package of it. The program's zstd is C.
const MUSL_COMPILER: (&str, &str) = ("x86_64-linux-musl-gcc", "musl-tools");

/// `cargo xtask tools`: what the tests need.
pub fn tools(_: &[String]) -> Outcome {
    lldb()?;
    gdb()?;
    STACKWALK.ensure()?;
    compilers()?;
    supervised()
}

/// What the tests of macOS dumps need: these build programs for macOS, run and read them.
pub fn apple() -> Outcome {
    lldb()?;
    STACKWALK.ensure()?;
    apple::tools()
}

/// What the tests of the supervisor run below it, by names of programs and by Debian's packages of them: about 150 MB to fetch.
/// The Java compiler that comes with a development kit will do, but alone is much smaller.
const SUPERVISED: &[(&[&str], &str)] = &[
    (&["tmux"], "tmux"),
    (&["vim", "vim.tiny"], "vim-tiny"),
    (&["perl"], "perl"),
    (&["java"], "default-jre-headless"),
    (&["javac", "ecj"], "ecj"),
    (&["go"], "golang-go"),
];

fn supervised() -> Outcome {
    let is_here = |names: &[&str]| names.iter().any(|name| shell::find(name).is_some());
    let wanted = SUPERVISED.iter().filter(|(names, _)| !is_here(names));
    let packages: Vec<&str> = wanted.map(|(_, package)| *package).collect();
    match apt::install(&packages) {
        Ok(()) => Ok(()),
        Err(why) => shell::missing(format!(
            "{} could not be installed ({why}); the tests of `run` need them",
            packages.join(", ")
        )),
    }
}

/// The compilers of the crashers in C and C++.
fn compilers() -> Outcome {
    if ["cc", "c++"].iter().all(|name| shell::find(name).is_some()) { Ok(()) } else { apt::install(&["g++"]) }
}

/// Builds all programs of the registry that any check uses.
pub fn registry_programs() -> Outcome {
    let all = [DENY.ensure(), STACKWALK.ensure(), apple::symbol_maker()];
    all.into_iter().try_for_each(|built| built.map(drop))
}

/// What the checks need beyond the tests: returns where `cargo-deny` is.
pub fn deny() -> Outcome<PathBuf> {
    DENY.ensure()
}

/// Tries to install a compiler for other targets. Whether it succeeded is for the caller to look at.
pub fn cross_compiler() -> Outcome {
    apt::install(CROSS_COMPILER)
}

/// Zig, from Python's package index: returns the folder with its program and its library.
pub fn zig() -> Outcome<PathBuf> {
    let fetched = places::tools().join("zig");
    python::install(&places::root().join("xtask/src/setup/zig.requirements.txt"), &fetched)?;
    Ok(fetched.join("ziglang"))
}

/// Unicorn, which executes instructions of other processors: returns the folder of its Python package, which has the library.
pub fn unicorn() -> Outcome<PathBuf> {
    let fetched = places::tools().join("apple/emulator");
    python::install(&places::root().join("tests/apple/programs/emulate.requirements.txt"), &fetched)?;
    Ok(fetched.join("unicorn"))
}

/// LLVM's linker, for toolchains that come without.
pub fn lld() -> Outcome {
    apt::first_available(LLD).and_then(|package| apt::install(&[package]))
}

/// Installs a C compiler and linker for Windows on this architecture where there is none.
pub fn windows_compiler(architecture: &str) -> Outcome {
    let known = WINDOWS_COMPILERS.iter().find(|(known, ..)| *known == architecture);
    let (_, program, package) = known.ok_or("there is no compiler for Windows on this architecture")?;
    if shell::find(program).is_some() { Ok(()) } else { apt::install(&[package]) }
}

/// Makes `root` a small Debian of 32 bits with Wine.
#[cfg(target_os = "linux")]
pub fn debian_i386(root: &Path) -> Outcome {
    debian::i386(root, &["wine", "wine32"])
}

/// Installs Wine, which runs programs for Windows, where there is none.
pub fn wine() -> Outcome {
    if shell::find("wine").is_some() { Ok(()) } else { apt::install(&["wine", "wine64"]) }
}

/// Tries to install a C compiler for musl where there is none.
pub fn musl_compiler() -> Outcome {
    let (program, package) = MUSL_COMPILER;
    if shell::find(program).is_some() { Ok(()) } else { apt::install(&[package]) }
}

/// Makes sure of valgrind, which counts instructions. `false` without it, where that is no error.
pub fn valgrind() -> Outcome<bool> {
    let why = if works("valgrind") { None } else { apt::install(&["valgrind"]).err() };
    if works("valgrind") {
        return Ok(true);
    }
    let why = why.map_or_else(|| "it was installed, but does not start".to_owned(), |why| why.to_string());
    shell::missing(format!("valgrind is missing ({why}); install it: instructions are counted with it"))?;
    Ok(false)
}

/// Makes sure of cmake and pkg-config, which build the examples in C. `false` without them, where that is no error.
pub fn cmake() -> Outcome<bool> {
    let has_both = || works("cmake") && works("pkg-config");
    let why = if has_both() { None } else { apt::install(&["cmake", "make", "pkg-config", "g++"]).err() };
    if has_both() {
        return Ok(true);
    }
    let why = why.map_or_else(|| "they were installed, but do not start".to_owned(), |why| why.to_string());
    shell::missing(format!(
        "cmake and pkg-config are missing ({why}); install them: the examples in C need them"
    ))?;
    Ok(false)
}

/// Tries to install strace where there is none. The bench counts system calls with it.
pub fn strace() -> Outcome {
    if works("strace") { Ok(()) } else { apt::install(&["strace"]) }
}

/// Installs gdb where there is none.
pub fn gdb() -> Outcome {
    if works("gdb") {
        return Ok(());
    }
    match apt::install(&["gdb"]) {
        Ok(()) if works("gdb") => Ok(()),
        Ok(()) => shell::missing("gdb was installed, but does not start; the tests of ELF cores need it"),
        Err(why) => {
            shell::missing(format!("gdb is missing ({why}); install it: the tests of ELF cores need it"))
        }
    }
}

fn lldb() -> Outcome {
    if LLDB.iter().any(|name| works(name)) {
        return Ok(());
    }
    let installed = apt::first_available(LLDB).and_then(|package| apt::install(&[package]));
    match installed {
        Ok(()) if LLDB.iter().any(|name| works(name)) => Ok(()),
        Ok(()) => shell::missing(
            "lldb was installed, but does not start; the tests that read dumps in lldb need it",
        ),
        Err(why) => shell::missing(format!(
            "lldb is missing ({why}); install {LLDB_TESTED} or newer: the tests that read dumps in lldb need it"
        )),
    }
}

fn works(name: &str) -> bool {
    shell::answer(shell::program(name).arg("--version")).is_some()
}
