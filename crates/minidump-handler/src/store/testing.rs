//! What the tests of the dump directory share.

use super::layout::Place;
use super::{Id, Limits, Metadata, NewDump, Store, Stored, os};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A dump directory that goes with the test.
pub(super) struct Folder {
    pub store: Store,
    place: tempfile::TempDir,
}

impl Folder {
    pub(super) fn new(limits: Limits) -> Self {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(place.path().join("dumps"), limits).unwrap();
        Self { store, place }
    }

    /// A path in the dump directory.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.store.root().join(name)
    }

    /// A path beside the dump directory.
    pub(super) fn outside(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(super) fn pending_ids(&self) -> Vec<Id> {
        ids(&self.store.pending().unwrap())
    }

    pub(super) fn completed_ids(&self) -> Vec<Id> {
        ids(&self.store.completed().unwrap())
    }

    /// All files of dumps, such as `new/ID.dmp`, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for directory in ["new", "pending", "completed"] {
            for entry in fs::read_dir(self.at(directory)).unwrap() {
                names.push(format!("{directory}/{}", entry.unwrap().file_name().to_str().unwrap()));
            }
        }
        names.sort();
        names
    }
}

pub(super) fn ids(stored: &[Stored]) -> Vec<Id> {
    stored.iter().map(|stored| stored.id).collect()
}

/// A minidump of no streams but one, so that it has a readable beginning.
pub(super) fn minidump(tail: &str) -> Vec<u8> {
    let mut bytes = b"MDMP\x93\xa7\0\0\x01\0\0\0\x20\0\0\0".to_vec();
    bytes.resize(44, 0);
    bytes.extend(tail.as_bytes());
    bytes
}

/// A dump begun at a chosen time.
pub(super) fn begun(store: &Store, when_us: u64, bytes: &[u8]) -> NewDump {
    let mut dump =
        NewDump::create(store, "program", when_us, &Metadata { when_us, ..Metadata::now("program") })
            .unwrap();
    dump.write_all(bytes).unwrap();
    dump
}

/// A committed dump of 1,000 bytes.
pub(super) fn commit(store: &Store, when_us: u64) -> Id {
    begun(store, when_us, &[7; 1000]).commit(&Metadata::now("program")).unwrap().id
}

/// Leaves a dump as a writer does that is killed: the file closed and its lock free, nothing tidied up.
pub(super) fn die(mut dump: NewDump) -> Id {
    dump.finished = true;
    // A child that another test is just forking may have the file open as well.
    os::unlock(dump.file());
    dump.id()
}

/// This test program once more, to run one test in a process of its own that sees `root` in the environment.
pub(super) fn again(test: &str, root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", test]).env(ROOT, root);
    command
}

/// The dump directory of a test that runs in a process made with [`again`].
pub(super) fn given_root() -> Option<PathBuf> {
    std::env::var_os(ROOT).map(PathBuf::from)
}

const ROOT: &str = "DUMP_DIRECTORY_OF_TEST";

/// The path of a dump's file.
pub(super) fn dump_path(store: &Store, place: Place, id: &Id) -> PathBuf {
    store.layout.dump(place, id)
}
