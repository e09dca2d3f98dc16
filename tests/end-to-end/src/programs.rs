//! Where the programs under test are, and how they get built.
//!
//! `MINIDUMP_WRITER_BIN` and `CRASHER_BIN` name them; without these, Cargo is asked once to bring them up to date. The
//! dumper is the release build, which is what users run and what memory bounds hold for. The crashers are built like
//! the running test.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program `minidump-writer`.
pub fn dumper() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| find("MINIDUMP_WRITER_BIN", "minidump-cli", "minidump-writer", "release"))
}

/// The program `crasher`.
pub fn crasher() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let profile = profile_directory();
    let profile = profile.file_name().and_then(|name| name.to_str()).unwrap_or("debug");
    FOUND.get_or_init(|| find("CRASHER_BIN", "crashers", "crasher", profile))
}

/// The static library of the C interface, without optimisation.
pub fn c_library() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let profile = profile_directory();
        build("minidump-capi", "--lib", "debug", &target_directory());
        profile.with_file_name("debug").join("libminidump_writer_c.a")
    })
}

fn find(variable: &str, package: &str, name: &str, profile: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return PathBuf::from(path).canonicalize().unwrap_or_else(|error| panic!("{variable}: {error}"));
    }
    let target = target_directory();
    build(package, "--bins", profile, &target);
    let path = target.join(profile).join(name);
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `target/debug` or `target/release`: two levels above the running test.
fn profile_directory() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_path_buf()
}

fn target_directory() -> PathBuf {
    profile_directory().parent().unwrap().to_path_buf()
}

fn build(package: &str, what: &str, profile: &str, target: &Path) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", what, "-p", package]);
    if profile == "release" {
        command.arg("--release");
    }
    command.arg("--target-dir").arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().expect("cargo can be started");
    assert!(status.success(), "{package} does not build: {status}");
}

/// The first of `names` that is a program in one of these places: the variable, Cargo's `target/tools/bin`, `PATH`.
pub fn reader(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable) {
        return Some(path.into());
    }
    let tools = target_directory().join("tools/bin");
    let paths = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::iter::once(tools).chain(env::split_paths(&paths)).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()))
}
