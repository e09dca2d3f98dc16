//! The crashers in C and C++, compiled with the system's compilers.

use crate::{needs, process, programs};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A program that lasts as long as this.
#[derive(Debug)]
pub struct Compiled {
    folder: TempDir,
}

impl Compiled {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("crash")
    }
}

/// A crasher of `tests/crashers/c`, such as `crash.cpp`, made by `compiler`, with the client linked in. `None`, with a message,
/// where that is missing.
#[track_caller]
pub fn compiled(test: &str, compiler: &str, source: &str) -> Option<Compiled> {
    let compiler = needs::compiler(test, compiler)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = [source, "client.c"].map(|source| root.join("tests/crashers/c").join(source));
    let compiled = Compiled { folder: tempfile::tempdir().unwrap() };
    let mut command = Command::new(compiler);
    command.args(["-g", "-O0", "-pthread", "-Wall", "-Wextra", "-Werror", "-o"]);
    command.arg(compiled.path()).arg("-I").arg(root.join("crates/minidump-capi/include")).args(sources);
    command.arg(programs::c_library()).args(["-lgcc_s", "-lutil", "-lrt", "-lm", "-ldl"]);
    process::run(&mut command).expect_success("the compiler");
    Some(compiled)
}
