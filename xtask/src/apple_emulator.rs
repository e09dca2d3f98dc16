//! `cargo xtask ci emulator`: the libraries for macOS, executed on this machine (`tests/apple-emulator`).

use crate::{
    cross::{self, apple::Tools},
    places, setup,
    shell::{self, Outcome},
};
use std::path::PathBuf;

/// Targets, and the variables that tell the tests where their libraries are.
const TARGETS: [(&str, &str); 2] =
    [("aarch64-apple-darwin", "APPLE_LIBRARY_AARCH64"), ("x86_64-apple-darwin", "APPLE_LIBRARY_X86_64")];
const PACKAGE: &str = "minidump-capi";
const LIBRARY: &str = "libminidump_writer_c.dylib";

/// Builds the libraries, fetches the emulator, and compares what they do with what the same source does here.
pub fn check() -> Outcome {
    let unicorn = match setup::unicorn() {
        Ok(folder) => folder.join("lib/libunicorn.so.2"),
        Err(why) => {
            return shell::missing(format!(
                "the emulator could not be installed ({why}); the libraries for macOS are not executed"
            ));
        }
    };
    let mut tests = shell::cargo();
    tests.args(["test", "--locked", "--package", "apple-emulator", "--features", "proof"]);
    tests.env("UNICORN_LIBRARY", unicorn);
    for (target, variable) in TARGETS {
        let compiler = match cross::compiler_for(target) {
            Ok(compiler) => compiler,
            Err(why) => return shell::missing(why.to_string()),
        };
        let mut build = compiler.cargo("build", target);
        build.args(["--package", PACKAGE]);
        if let Some(tools) = Tools::ensure(target)? {
            tools.apply(&mut build, target);
            tools.check_header()?;
        }
        shell::run(&mut build)?;
        tests.env(variable, library(target));
    }
    shell::run(&mut tests)
}

fn library(target: &str) -> PathBuf {
    let library = cross::folder().join(target).join("debug").join(LIBRARY);
    places::root().join(library)
}
