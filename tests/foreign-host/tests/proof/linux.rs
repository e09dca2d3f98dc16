//! Dumps of Linux: minidumps and ELF cores of our own, and what gdb makes.

use crate::compare::{converted, shown};
use crate::hosts::Host;
use end_to_end::process::{self, Guarded};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proof/waiting.c");

/// Dumps of one program, in a folder of their own.
struct Dumps {
    folder: TempDir,
    program: PathBuf,
}

impl Dumps {
    /// Builds the program. It needs no library, so that all its files can go.
    #[track_caller]
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let program = folder.path().join("waiting");
        let mut compiler = Command::new("cc");
        compiler.args(["-static", "-O1", "-Wl,--build-id", "-o"]).arg(&program).arg(SOURCE);
        process::run(&mut compiler).expect_success("cc");
        Self { folder, program }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Has `dump` look at the program while its threads wait. Afterwards neither program nor process is there.
    #[track_caller]
    fn of_the_living(dump: impl Fn(&Path, &str)) -> Self {
        let dumps = Self::new();
        let mut living = Guarded::start(Command::new(&dumps.program).stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(living.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        dump(dumps.path(), &living.pid().to_string());
        drop(living);
        fs::remove_file(&dumps.program).unwrap();
        dumps
    }

    /// A minidump `crash.dmp` of the crash, by the supervisor.
    #[track_caller]
    fn of_the_crash() -> Self {
        let dumps = Self::new();
        let program = dumps.program.to_str().unwrap().to_owned();
        Host::Native.run(dumps.path(), &["run", "--quiet", "--dir", "kept", "--", &program, "crash"], None);
        fs::rename(only_dump(&dumps.path().join("kept/pending")), dumps.path().join("crash.dmp")).unwrap();
        fs::remove_file(&dumps.program).unwrap();
        dumps
    }
}

/// The minidump below `folder`.
#[track_caller]
fn only_dump(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_minidump = |path: &PathBuf| path.is_file() && fs::read(path).unwrap().starts_with(b"MDMP");
    let found: Vec<PathBuf> = entries.filter(is_minidump).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

#[track_caller]
fn dumped(folder: &Path, pid: &str, format: &str, name: &str) {
    let left = Host::Native.run(folder, &["dump", pid, "--format", format, "-o", name], None);
    assert_eq!(left.code, Some(0), "{}", left.complaint);
}

/// Names of the threads in what was shown, sorted.
fn names(shown: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        shown["threads"].as_array().unwrap().iter().map(|thread| thread["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_minidump_of_a_crash_is_the_same_there() {
    let dumps = Dumps::of_the_crash();
    let found = shown(dumps.path(), "crash.dmp");
    assert_eq!(names(&found), ["another", "one", "waiting"]);
    assert_eq!(found["crash"]["address"], "0x1230", "{found}");
    converted(dumps.path(), "crash.dmp", "core", "core");
    assert_eq!(shown(dumps.path(), "core")["crash"]["address"], "0x1230");
    converted(dumps.path(), "core", "minidump", "again.dmp");
}

#[test]
fn a_core_of_our_own_is_the_same_there() {
    let dumps = Dumps::of_the_living(|folder, pid| dumped(folder, pid, "core", "core"));
    let found = shown(dumps.path(), "core");
    assert_eq!(names(&found), ["another", "one", "waiting"]);
    assert_eq!(found["modules"].as_array().unwrap().len(), 2, "{found}");
    converted(dumps.path(), "core", "minidump", "converted.dmp");
}

#[test]
fn a_core_by_gdb_is_the_same_there() {
    let Some(gcore) = end_to_end::debuggers::gcore("a_core_by_gdb_is_the_same_there") else { return };
    let dumps = Dumps::of_the_living(|folder, pid| {
        process::run(Command::new(&gcore).current_dir(folder).args(["-o", "core", pid]))
            .expect_success("gcore");
        fs::rename(folder.join(format!("core.{pid}")), folder.join("core")).unwrap();
    });
    let found = shown(dumps.path(), "core");
    assert_eq!(found["threads"].as_array().unwrap().len(), 3);
    let path = found["modules"][0]["path"].as_str().unwrap();
    assert!(path.ends_with("/waiting"), "{found}");
    converted(dumps.path(), "core", "minidump", "converted.dmp");
    shown(dumps.path(), "converted.dmp");
}

#[test]
fn what_is_compressed_or_comes_through_the_standard_input_is_the_same_there() {
    let dumps = Dumps::of_the_crash();
    for (host, name) in [(Host::Native, "here.zst"), (Host::Foreign, "there.zst")] {
        let arguments = ["convert", "-", "--format", "core", "--compress", "-o", name];
        let left = host.run(dumps.path(), &arguments, Some("crash.dmp"));
        assert_eq!(left.code, Some(0), "{}", left.complaint);
    }
    let read = |name: &str| fs::read(dumps.path().join(name)).unwrap();
    assert!(read("here.zst") == read("there.zst"));
    assert_eq!(shown(dumps.path(), "there.zst")["crash"]["address"], "0x1230");
}
