//! Linking for macOS on other systems.
//!
//! The linker is LLVM's, which comes with Rust; what it links against is the list of symbols of Apple's libSystem that comes
//! with Zig, so that a function that macOS does not have is an error here; and the compiler for the C in our dependencies
//! is Zig's, too.

use super::{folder, make_executable};
use crate::{
    places, setup,
    shell::{self, Doing, Outcome},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the standard library and the crate `libc` link against; in a program on macOS all of it is libSystem.
const SYSTEM_LIBRARIES: &[&str] = &["libSystem.tbd", "libc.tbd", "libm.tbd"];

/// Another library of macOS that the crate `libc` names.
const ICONV: &str = "--- !tapi-tbd
tbd-version: 4
targets: [ arm64-macos, x86_64-macos ]
install-name: '/usr/lib/libiconv.2.dylib'
exports:
  - targets: [ arm64-macos, x86_64-macos ]
    symbols: [ _iconv, _iconv_close, _iconv_open ]
...
";

/// What links and compiles C for a target of Apple's.
pub struct Tools {
    linker: PathBuf,
    libraries: PathBuf,
    compiler: PathBuf,
    archiver: PathBuf,
}

impl Tools {
    /// Installs what is missing. `None` on macOS, which has all of it.
    pub fn ensure(target: &str) -> Outcome<Option<Self>> {
        if cfg!(target_os = "macos") {
            return Ok(None);
        }
        let zig = setup::zig()?;
        let made = folder().join("apple");
        let libraries = made.join("lib");
        fs::create_dir_all(&libraries).doing(format_args!("could not make {}", libraries.display()))?;
        write_libraries(&zig, &libraries)?;
        let architecture = target.split('-').next().unwrap_or(target);
        let compiler = made.join(format!("cc-{architecture}"));
        write_script(&compiler, &compiler_script(&zig, architecture))?;
        let archiver = made.join("ar");
        write_script(&archiver, &format!("#!/bin/sh\nexec '{}' ar \"$@\"\n", zig.join("zig").display()))?;
        Ok(Some(Self { linker: linker()?, libraries, compiler, archiver }))
    }

    /// Compiles a program in C that uses the header for macOS.
    pub fn check_header(&self) -> Outcome {
        let mut command = Command::new(&self.compiler);
        command.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c"]);
        command.arg("-o").arg(self.libraries.with_file_name("header.o"));
        command.arg("-I").arg(places::root().join("crates/minidump-capi/include"));
        shell::run(command.arg(places::root().join("tests/apple-emulator/tests/header.c")))
    }

    /// Makes a command of cargo use these for `target`.
    pub fn apply(&self, command: &mut Command, target: &str) {
        let variable = target.to_uppercase().replace('-', "_");
        command.env(format!("CARGO_TARGET_{variable}_LINKER"), &self.linker);
        let mut flags: Vec<String> =
            env::var("RUSTFLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        flags.push("-Clinker-flavor=ld64.lld".to_owned());
        flags.push(format!("-Lnative={}", self.libraries.display()));
        command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        let suffix = target.replace('-', "_");
        command.env(format!("CC_{suffix}"), &self.compiler).env(format!("AR_{suffix}"), &self.archiver);
        // Asked for by whoever looks for Apple's development kit. Nothing there is needed.
        command.env("SDKROOT", &self.libraries).env("MACOSX_DEPLOYMENT_TARGET", "11.0");
        // Debian's compiler lacks the program that strips, and there is nothing to strip.
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_STRIP", "none");
    }
}

/// LLVM's linker for Mach-O: that of the toolchain, or else of the system.
fn linker() -> Outcome<PathBuf> {
    let of_toolchain = || {
        let sysroot = shell::answer(shell::program("rustc").args(["--print", "sysroot"]))?;
        let targets = fs::read_dir(Path::new(sysroot.trim()).join("lib/rustlib")).ok()?;
        targets.flatten().map(|target| target.path().join("bin/rust-lld")).find(|path| path.is_file())
    };
    if let Some(linker) = of_toolchain().or_else(of_system) {
        return Ok(linker);
    }
    setup::lld()?;
    of_system().ok_or_else(|| "LLVM's linker was installed, but there is no ld64.lld".into())
}

fn of_system() -> Option<PathBuf> {
    let versions = (14..40).rev().map(|version| format!("ld64.lld-{version}"));
    std::iter::once("ld64.lld".to_owned()).chain(versions).find_map(|name| shell::find(&name))
}

/// Zig's list of symbols is made for the newest processors alone; programs for older ones find the same.
fn write_libraries(zig: &Path, folder: &Path) -> Outcome {
    let list = zig.join("lib/libc/darwin/libSystem.tbd");
    let text = fs::read_to_string(&list).doing(format_args!("could not read {}", list.display()))?;
    // LLVM does not know the first of these names.
    let text = text.replace("arm64e.x1-", "arm64-");
    let text = if text.contains("arm64-macos") { text } else { text.replace("arm64e-", "arm64-") };
    let libraries = SYSTEM_LIBRARIES.iter().map(|name| (*name, text.as_str()));
    for (name, text) in libraries.chain([("libiconv.tbd", ICONV)]) {
        write(&folder.join(name), text)?;
    }
    Ok(())
}

/// Zig's compiler, under the options that the crate `cc` gives to Apple's: Zig's name of the target says all of it.
fn compiler_script(zig: &Path, architecture: &str) -> String {
    format!(
        r#"#!/bin/sh
left=$#
value=
while [ "$left" -gt 0 ]; do
  argument=$1
  shift
  left=$((left - 1))
  if [ -n "$value" ]; then value=; continue; fi
  case $argument in
    --target=* | -mmacosx-version-min=* | -mmacos-version-min=*) ;;
    -arch | -isysroot | -target) value=1 ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec '{}' cc -target {architecture}-macos.11.0 -fno-sanitize=all "$@"
"#,
        zig.join("zig").display()
    )
}

/// Writes a program unless it is there already.
fn write_script(path: &Path, text: &str) -> Outcome {
    write(path, text)?;
    make_executable(path).doing(format_args!("could not make {} a program", path.display()))
}

/// Writes a file whose contents change. Cargo would build anew otherwise.
fn write(path: &Path, text: &str) -> Outcome {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(path, text).doing(format_args!("could not write {}", path.display()))
}
