//! `cargo xtask ci foreign`: the program for Windows reads and converts dumps of other systems, in Wine (`tests/foreign-host`).

use crate::{
    cross, places, setup,
    shell::{self, Doing, Outcome},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A library of Windows that Rust's standard library takes random numbers from. Wine has it since version 10.
const RANDOM: &str = "bcryptprimitives.dll";
/// What stands in for it: `ProcessPrng`, by way of the function that Wine has (`RtlGenRandom`).
const RANDOM_SOURCE: &str = "#include <stddef.h>
unsigned char __stdcall SystemFunction036(void *buffer, unsigned long size);
int __stdcall ProcessPrng(unsigned char *buffer, size_t size) {
    return SystemFunction036(buffer, (unsigned long)size);
}
";

/// Builds the program, makes Wine ready, and compares what the program does there with what it does here.
pub fn check() -> Outcome {
    let program = match setup::wine().and_then(|()| cross::program_for_windows()) {
        Ok(program) => program,
        Err(why) => {
            return shell::missing(format!("{why}; dumps are not read on a foreign host"));
        }
    };
    let prefix = places::root().join(places::tools()).join("wine");
    make_ready(&prefix)?;
    let mut tests = shell::cargo();
    tests.args(["test", "--locked", "--package", "foreign-host", "--features", "proof"]);
    in_wine(&mut tests, &prefix).env("FOREIGN_RUNNER", "wine").env("FOREIGN_PROGRAM", program);
    shell::run(&mut tests)
}

/// Makes `prefix` a Windows that can run programs in Rust.
fn make_ready(prefix: &Path) -> Outcome {
    let libraries = prefix.join("drive_c/windows/system32");
    if !libraries.is_dir() {
        fs::create_dir_all(prefix).doing(prefix.display())?;
        let mut boot = shell::program("wine");
        // What it leaves running for a while must not hold our output.
        boot.args(["wineboot", "--init"]).stdout(Stdio::null()).stderr(Stdio::null());
        shell::run(in_wine(&mut boot, prefix))?;
    }
    if libraries.join(RANDOM).exists() { Ok(()) } else { add_random(&libraries) }
}

/// Adds the library that older Wine lacks.
fn add_random(libraries: &Path) -> Outcome {
    let folder: PathBuf = places::tools();
    let source = folder.join("process_prng.c");
    fs::write(&source, RANDOM_SOURCE).doing(source.display())?;
    let mut compiler = shell::program("x86_64-w64-mingw32-gcc");
    compiler.args(["-shared", "-O1", "-o"]).arg(libraries.join(RANDOM)).arg(&source);
    shell::run(compiler.args(["-ladvapi32", "-Wl,--export-all-symbols"]))
}

/// Has `command`, and what it starts, use Wine without its messages, and without programs that nobody here needs.
fn in_wine<'a>(command: &'a mut Command, prefix: &Path) -> &'a mut Command {
    command.env("WINEPREFIX", prefix).env("WINEARCH", "win64").env("WINEDEBUG", "-all");
    command.env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=")
}
