//! The crashers in C and C++, compiled with the system's compilers.

use crate::needs;
use crate::process;
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

/// A crasher of `tests/crashers/c`, such as `crash.cpp`, made by `compiler`. `None`, with a message, where that is
/// missing.
#[track_caller]
pub fn compiled(test: &str, compiler: &str, source: &str) -> Option<Compiled> {
    let compiler = needs::compiler(test, compiler)?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crashers/c").join(source);
    let compiled = Compiled { folder: tempfile::tempdir().unwrap() };
    let mut command = Command::new(compiler);
    command.args(["-g", "-O0", "-pthread", "-Wall", "-Wextra", "-Werror", "-o"]);
    process::run(command.arg(compiled.path()).arg(source)).expect_success("the compiler");
    Some(compiled)
}
