//! What a machine may lack: root's rights, a foreign reader, a feature of the processor.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;

/// Says, past the test runner's capture, that `test` cannot be run and why: the machine lacks what nobody can install,
/// such as a feature of its processor.
pub fn not_here(test: &str, what: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test}: {what}");
}

/// As [`not_here`], of what can be installed or granted. Fails the test where `CI=true`: there it has to be.
pub fn missing(test: &str, what: &str) {
    not_here(test, what);
    assert!(env::var("CI").as_deref() != Ok("true"), "{test} must run under CI=true, but {what}");
}

/// Whether this is root; says so when not.
pub fn root(test: &str) -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        missing(test, "it needs root");
    }
    is_root
}

/// The program `minidump-stackwalk` of the rust-minidump project.
pub fn stackwalk(test: &str) -> Option<PathBuf> {
    let found = crate::programs::reader("MINIDUMP_STACKWALK", &["minidump-stackwalk"]);
    if found.is_none() {
        missing(test, "there is no minidump-stackwalk; `cargo xtask test` installs it");
    }
    found
}

/// LLDB.
pub fn lldb(test: &str) -> Option<PathBuf> {
    let found = crate::programs::reader("LLDB", &["lldb-19", "lldb"]);
    if found.is_none() {
        missing(test, "there is no lldb-19 or lldb");
    }
    found
}

/// GDB's and binutils' `readelf`.
pub fn readelf(test: &str) -> Option<PathBuf> {
    let found = crate::programs::reader("READELF", &["readelf"]);
    if found.is_none() {
        missing(test, "there is no readelf");
    }
    found
}

/// The system's C compiler `cc` or C++ compiler `c++`.
pub fn compiler(test: &str, name: &str) -> Option<PathBuf> {
    let found = crate::programs::reader(&name.replace('+', "x").to_uppercase(), &[name]);
    if found.is_none() {
        missing(test, &format!("there is no {name}; on Debian: apt-get install g++"));
    }
    found
}

/// A program that is called by the first of these names that there is, and comes in Debian's package of that name.
pub fn program(test: &str, names: &[&str], package: &str) -> Option<PathBuf> {
    // Not the bare name: TMUX and VIM are set by these programs themselves.
    let variable = names.first().map_or_else(String::new, |name| format!("{}_BIN", name.to_uppercase()));
    let found = crate::programs::reader(&variable, names);
    if found.is_none() {
        missing(test, &format!("there is no {}; on Debian: apt-get install {package}", names.join(" or ")));
    }
    found
}
