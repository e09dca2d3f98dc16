//! The libraries under the names that users know them by, and programs that are linked with them.

use end_to_end::process;
use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    /// With libminidump_writer.so.
    Shared,
    /// With libminidump_writer.a.
    Static,
}

/// Both ways.
pub const WAYS: [Linked; 2] = [Linked::Shared, Linked::Static];

/// The package's folder.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What every source has to pass.
pub const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// The shared library as Cargo made it.
pub fn shared_library() -> PathBuf {
    made().join("libminidump_writer_c.so")
}

/// Where Cargo puts the libraries, which are up to date then.
fn made() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        // Two levels above the running test.
        let profile = env::current_exe().unwrap().ancestors().nth(2).unwrap().to_path_buf();
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["build", "--quiet", "--package", "minidump-capi", "--lib"]);
        if profile.file_name() == Some(OsStr::new("release")) {
            command.arg("--release");
        }
        command.arg("--target-dir").arg(profile.parent().unwrap()).current_dir(package());
        let status = command.status().expect("cargo can be started");
        assert!(status.success(), "the libraries cannot be built: {status}");
        profile
    })
}

/// A program of `tests/c`.
pub struct Program {
    folder: TempDir,
}

impl Program {
    /// Compiles `source` and links it.
    #[track_caller]
    pub fn new(source: &str, linked: Linked) -> Self {
        let program = Self { folder: tempfile::tempdir().unwrap() };
        let folder = program.folder.path();
        match linked {
            Linked::Shared => {
                symlink(shared_library(), folder.join("libminidump_writer.so")).unwrap();
                symlink(shared_library(), folder.join("libminidump_writer.so.0")).unwrap();
            }
            Linked::Static => {
                symlink(made().join("libminidump_writer_c.a"), folder.join("libminidump_writer.a")).unwrap();
            }
        }
        let is_cpp = Path::new(source).extension().is_some_and(|end| end == "cpp");
        let mut compiler = Command::new(if is_cpp { "c++" } else { "cc" });
        compiler.arg(if is_cpp { "-std=c++11" } else { "-std=c99" });
        compiler.args(WARNINGS).args(["-g", "-O0", "-pthread", "-D_POSIX_C_SOURCE=200809L", "-I"]);
        compiler.arg(package().join("include")).arg(package().join("tests/c").join(source));
        compiler.arg("-o").arg(program.path()).arg("-L").arg(folder).arg("-lminidump_writer");
        if linked == Linked::Static {
            compiler.args(["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"]);
        }
        process::run(&mut compiler).expect_success(source);
        program
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("program")
    }

    /// A command that runs it; it finds the shared library.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.env("LD_LIBRARY_PATH", self.folder.path());
        command
    }
}
