//! Building for Windows on other systems, with GNU's linker.

use super::{Compiler, compiler_for, folder};
use crate::{
    places, setup,
    shell::{self, Doing, Outcome},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What programs of 32 bits begin and end with. Compilers come with them where they come with the standard library.
const OBJECTS: [&str; 2] = ["rsbegin", "rsend"];

/// A command of cargo, such as `build`, for a target of Windows with GNU's linker, which is installed.
pub fn cargo(subcommand: &str, target: &str) -> Outcome<Command> {
    let compiler = compiler_for(target)?;
    let architecture = target.split('-').next().unwrap_or(target);
    setup::windows_compiler(architecture)?;
    let mut command = compiler.cargo(subcommand, target);
    // Nobody debugs these; the crashers ask for it themselves.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    if let (Compiler::FromSource(rustc), "i686") = (&compiler, architecture) {
        let objects = objects(rustc, target)?;
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        command.env("RUSTFLAGS", format!("{flags} -Lnative={}", objects.display()));
    }
    Ok(command)
}

/// Compiles the objects. Returns their folder.
fn objects(rustc: &Path, target: &str) -> Outcome<PathBuf> {
    let made = places::root().join(folder()).join("objects").join(target);
    fs::create_dir_all(&made).doing(made.display())?;
    let sysroot = shell::answer(Command::new(rustc).args(["--print", "sysroot"]));
    let sysroot = sysroot.ok_or("the compiler does not say where it is")?;
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/rtstartup");
    for name in OBJECTS {
        let object = made.join(format!("{name}.o"));
        if object.is_file() {
            continue;
        }
        let mut compiler = shell::program(rustc);
        compiler.args(["--target", target, "--crate-type", "lib", "--emit", "obj", "-o"]).arg(&object);
        shell::run(compiler.arg(sources.join(format!("{name}.rs"))).env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(made)
}
