//! The crates compile for other targets, and are linked where that can be done here.
//!
//! Every machine can check this, whether or not it has the target's standard library: where the toolchain lacks it, the
//! standard library is built from source, with Debian's `rustc-web` (a current compiler) and `rust-web-src` (the sources
//! that belong to it).

pub mod apple;
pub mod windows;

use crate::{
    minidumper, places, setup,
    shell::{self, Outcome},
};
use std::{
    fs, iter,
    path::{Path, PathBuf},
    process::Command,
};

/// A target and the packages that have to compile for it.
struct Case {
    target: &'static str,
    packages: &'static [&'static str],
    /// Libraries and programs are linked.
    links: bool,
}

/// Model and formats know no operating system, and the writer has a back end for systems it cannot dump yet, whose dumps it reads
/// all the same.
const EVERYWHERE: &[&str] = &["minidump-snapshot", "minidump-formats", "minidump-writer"];
/// What reads and converts dumps on any system, and runs there ([`foreign_host`](crate::foreign_host)).
const PROGRAM: &[&str] = &["minidump-cli"];
/// What captures processes. Nothing here links, or compiles C, as Microsoft's tools do.
const DUMPERS: &[&str] = &["minidump-writer", "minidump-handler"];
/// Where the program and the libraries for C are linked, too.
const ALL: &[&str] =
    &["minidump-writer", "minidump-handler", "minidump-record", "minidump-capi", "minidump-cli"];

/// Windows, with tools that other systems have.
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// That for musl on Linux is not here: [`dist`](crate::dist) makes the program of it.
const CASES: &[Case] = &[
    Case { target: "aarch64-unknown-linux-gnu", packages: EVERYWHERE, links: false },
    Case { target: WINDOWS, packages: PROGRAM, links: true },
    Case { target: "x86_64-pc-windows-msvc", packages: DUMPERS, links: false },
    Case { target: "i686-pc-windows-msvc", packages: DUMPERS, links: false },
    Case { target: "aarch64-pc-windows-msvc", packages: DUMPERS, links: false },
    Case { target: "aarch64-apple-darwin", packages: ALL, links: true },
    Case { target: "x86_64-apple-darwin", packages: ALL, links: true },
];

/// Fails when a package does not compile for one of its targets.
pub fn check() -> Outcome {
    let mut failed = Vec::new();
    let cases = CASES.iter().map(|case| (case.target, command(case)));
    let minidumper = iter::once_with(|| ("minidumper for Windows", minidumper_for_windows()));
    for (what, command) in cases.chain(minidumper) {
        let outcome = match command {
            Ok(mut command) => shell::run(&mut command),
            Err(failure) => shell::missing(failure.to_string()),
        };
        if let Err(failure) = outcome {
            eprintln!("xtask: {failure}");
            failed.push(what);
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("not checked or not compiling: {}", failed.join(", ")).into())
    }
}

/// The published minidumper, on top of our writer.
fn minidumper_for_windows() -> Outcome<Command> {
    let mut command = windows::cargo("check", WINDOWS)?;
    command.arg("--manifest-path").arg(minidumper::manifest());
    command.args(["--package", "minidumper", "--package", "crash-handler"]);
    Ok(command)
}

/// Builds the program for Windows. Returns where it is.
pub fn program_for_windows() -> Outcome<PathBuf> {
    let case = CASES.iter().find(|case| case.target == WINDOWS).ok_or("there is no case for Windows")?;
    shell::run(&mut command(case)?)?;
    Ok(places::root().join(folder()).join(WINDOWS).join("debug/minidump-writer.exe"))
}

/// How to get at a target's standard library.
pub enum Compiler {
    /// The toolchain in use has it.
    Toolchain,
    /// This compiler has its sources.
    FromSource(PathBuf),
}

/// Makes a file a program.
#[cfg(unix)]
pub fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Makes a file a program.
#[cfg(not(unix))]
pub fn make_executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// What can compile for `target` here.
pub fn compiler_for(target: &str) -> Outcome<Compiler> {
    if has_standard_library(target) {
        return Ok(Compiler::Toolchain);
    }
    let sentence = format!(
        "nothing here can compile for {target}: run `rustup target add {target}`, or install Debian's rustc-web and \
         rust-web-src"
    );
    from_source().ok_or_else(|| sentence.into())
}

/// The system's compiler, with which the standard library is built too. Installs it where that is possible.
pub fn from_source() -> Option<Compiler> {
    if let Err(failure) = setup::cross_compiler() {
        eprintln!("xtask: {failure}");
    }
    system_rustc().map(Compiler::FromSource)
}

fn has_standard_library(target: &str) -> bool {
    let folder =
        shell::answer(shell::program("rustc").args(["--print", "target-libdir", "--target", target]));
    folder.and_then(|folder| fs::read_dir(folder.trim()).ok()).is_some_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

/// The distribution's compiler, when the sources of its standard library are installed with it.
fn system_rustc() -> Option<PathBuf> {
    let rustc = PathBuf::from("/usr/bin/rustc");
    let sysroot = shell::answer(Command::new(&rustc).args(["--print", "sysroot"]))?;
    let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    sources.is_file().then_some(rustc)
}

fn command(case: &Case) -> Outcome<Command> {
    let subcommand = if case.links { "build" } else { "check" };
    let mut command = if case.target.ends_with("-windows-gnu") {
        windows::cargo(subcommand, case.target)?
    } else {
        compiler_for(case.target)?.cargo(subcommand, case.target)
    };
    for package in case.packages {
        command.args(["--package", package]);
    }
    if case.packages.contains(&"minidump-writer") {
        command.args(["--features", "minidump-writer/convert"]);
    }
    // Nobody debugs these.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    if case.target.contains("-apple-")
        && let Some(tools) = apple::Tools::ensure(case.target)?
    {
        tools.apply(&mut command, case.target);
    }
    Ok(command)
}

/// Where cargo puts what these compilers make: in the folder of the main build they would undo each other's work.
pub fn folder() -> PathBuf {
    places::target().join("cross")
}

impl Compiler {
    /// A command of cargo, such as `check`, that uses this compiler for `target`.
    pub fn cargo(&self, subcommand: &str, target: &str) -> Command {
        let mut command = shell::cargo();
        command.args([subcommand, "--locked", "--target", target]);
        command.env("CARGO_TARGET_DIR", folder());
        if let Self::FromSource(rustc) = self {
            // Test programs link with one crate more.
            let test = if subcommand == "test" { ",test" } else { "" };
            command.arg(format!("-Zbuild-std=std,panic_abort,panic_unwind{test}"));
            // Building the standard library is an unstable feature; this opens it on a stable compiler.
            command.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
            command.env_remove("RUSTC_WRAPPER");
        }
        command
    }
}
