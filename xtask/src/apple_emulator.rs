//! `cargo xtask ci emulator`: the libraries for macOS, executed on this machine (`tests/apple-emulator`).

use crate::{
    cross::{self, apple::Tools},
    places, setup,
    shell::{self, Outcome},
};
use std::path::PathBuf;

/// Targets, and what the variables that tell the tests where their libraries are end with.
const TARGETS: [(&str, &str); 2] = [("aarch64-apple-darwin", "AARCH64"), ("x86_64-apple-darwin", "X86_64")];
/// Packages, their libraries, and what the variables begin with.
const LIBRARIES: [(&str, &str, &str); 2] = [
    ("minidump-capi", "libminidump_writer_c.dylib", "APPLE_LIBRARY"),
    ("apple-hand-over", "libapple_hand_over.dylib", "APPLE_HAND_OVER"),
];

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
    for (target, architecture) in TARGETS {
        let compiler = match cross::compiler_for(target) {
            Ok(compiler) => compiler,
            Err(why) => return shell::missing(why.to_string()),
        };
        let mut build = compiler.cargo("build", target);
        for (package, library, variable) in LIBRARIES {
            build.args(["--package", package]);
            tests.env(format!("{variable}_{architecture}"), place(target, library));
        }
        if let Some(tools) = Tools::ensure(target)? {
            tools.apply(&mut build, target);
            tools.check_header()?;
        }
        shell::run(&mut build)?;
    }
    shell::run(&mut tests)
}

fn place(target: &str, library: &str) -> PathBuf {
    let library = cross::folder().join(target).join("debug").join(library);
    places::root().join(library)
}
