//! Programs that crash again and again.

use crate::store::testing::Folder;
use crate::store::{Damped, Limits, Metadata, StoreError};
use std::fs;
use std::time::{Duration, SystemTime};

const SECOND_US: u64 = 1_000_000;
const START_US: u64 = 1_795_279_501 * SECOND_US;

fn limits() -> Limits {
    Limits { per_program: 2, window: Duration::from_secs(10), ..Limits::none() }
}

/// Whether a crash at this second gets a dump, and how many before it did not.
fn crash(folder: &Folder, program: &str, second: u64) -> Result<u64, u64> {
    match folder.store.begin_at(program, START_US + second * SECOND_US) {
        Ok(dump) => Ok(dump.commit(&Metadata::now(program)).unwrap().metadata.dropped),
        Err(StoreError::Damped { program: named, kept: 2, window, dropped }) => {
            assert_eq!((named.as_str(), window), (program, Duration::from_secs(10)));
            Err(dropped)
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn crashes_past_the_limit_get_no_dump_and_are_counted_in_the_next() {
    let folder = Folder::new(limits());
    let told: Vec<_> = [0, 1, 2, 3, 9, 10, 10, 11].map(|second| crash(&folder, "loop", second)).into();
    assert_eq!(told, [Ok(0), Ok(0), Err(1), Err(2), Err(3), Ok(3), Err(1), Ok(1)]);
    assert_eq!(folder.store.pending().unwrap().len(), 4);
    let told: Vec<u64> =
        folder.store.pending().unwrap().iter().map(|stored| stored.metadata.dropped).collect();
    assert_eq!(told, [0, 0, 3, 1]);
}

#[test]
fn programs_are_counted_apart() {
    let folder = Folder::new(limits());
    for _ in 0..2 {
        assert_eq!(crash(&folder, "/usr/bin/a", 0), Ok(0));
        assert_eq!(crash(&folder, "/usr/bin/b", 0), Ok(0));
    }
    assert_eq!(crash(&folder, "/usr/bin/b", 5), Err(1));
    assert_eq!(crash(&folder, "/usr/bin/b", 6), Err(2));
    assert_eq!(crash(&folder, "/usr/bin/c", 6), Ok(0));
    let damped = Damped { program: "/usr/bin/b".into(), dropped: 2, last_us: START_US + 6 * SECOND_US };
    assert_eq!(folder.store.damped().unwrap(), [damped]);
}

#[test]
fn a_damped_crash_writes_no_dump_and_removes_none() {
    let folder = Folder::new(limits());
    crash(&folder, "loop", 0).unwrap();
    crash(&folder, "loop", 0).unwrap();
    let before = folder.names();
    assert_eq!(crash(&folder, "loop", 1), Err(1));
    assert_eq!(folder.names(), before);
}

#[test]
fn a_clock_set_back_damps_nothing() {
    let folder = Folder::new(limits());
    crash(&folder, "loop", 100).unwrap();
    crash(&folder, "loop", 100).unwrap();
    assert_eq!(crash(&folder, "loop", 1), Ok(0));
}

#[test]
fn a_commit_that_fails_keeps_the_count_for_the_next() {
    let folder = Folder::new(limits());
    crash(&folder, "loop", 0).unwrap();
    crash(&folder, "loop", 0).unwrap();
    assert_eq!(crash(&folder, "loop", 1), Err(1));
    let dump = folder.store.begin_at("loop", START_US + 20 * SECOND_US).unwrap();
    // Not all systems remove a file while it is open.
    fs::rename(dump.path(), folder.outside("moved")).unwrap();
    assert!(matches!(dump.commit(&Metadata::now("loop")), Err(StoreError::File { what: "move", .. })));
    assert_eq!(crash(&folder, "loop", 21), Ok(1));
}

#[test]
fn counts_that_cannot_be_read_cost_no_dump() {
    let folder = Folder::new(limits());
    crash(&folder, "loop", 0).unwrap();
    crash(&folder, "loop", 0).unwrap();
    let counts: Vec<_> =
        fs::read_dir(folder.at("recent")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let state = counts.iter().find(|path| path.extension().is_some()).unwrap();
    let deep = vec![b'['; 1 << 20];
    for text in [&b"{\"begun_us\": [1"[..], b"", &deep, b"{\"begun_us\": [-1]}"] {
        fs::write(state, text).unwrap();
        assert_eq!(crash(&folder, "loop", 1), Ok(0));
    }
}

#[test]
fn a_lock_that_is_never_let_go_costs_no_dump() {
    let folder = Folder::new(limits());
    crash(&folder, "loop", 0).unwrap();
    let lock = fs::File::open(folder.at("recent/lock")).unwrap();
    crate::store::os::try_lock(&lock);
    for _ in 0..3 {
        assert_eq!(crash(&folder, "loop", 1), Ok(0));
    }
}

#[test]
fn programs_that_crash_no_more_are_forgotten() {
    let age = Duration::from_secs(100);
    let folder = Folder::new(Limits { age, ..limits() });
    crash(&folder, "loop", 0).unwrap();
    let files = || fs::read_dir(folder.at("recent")).unwrap().count();
    assert_eq!(files(), 2);
    let now = SystemTime::now();
    crate::store::recent::forget(&folder.store, now).unwrap();
    assert_eq!(files(), 2);
    crate::store::recent::forget(&folder.store, now + age + age).unwrap();
    assert_eq!(files(), 1);
    assert!(folder.at("recent/lock").exists());
}
