//! Many users of one dump directory at once.

use crate::store::testing::{Folder, again, given_root};
use crate::store::{Id, Limits, Metadata, Store};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A dump whose bytes and metadata tell the same number.
fn numbered(store: &Store, number: u32) -> Id {
    let mut dump = store.begin("program").unwrap();
    dump.write_all(&number.to_le_bytes().repeat(1000)).unwrap();
    dump.commit(&Metadata { pid: Some(number), ..Metadata::now("program") }).unwrap().id
}

/// Such dumps for all of these numbers.
fn all(store: &Store, numbers: std::ops::Range<u32>) {
    for number in numbers {
        numbered(store, number);
    }
}

/// The numbers of all dumps in `pending`, each of which must be whole and with its own metadata.
fn numbers(store: &Store) -> BTreeSet<u32> {
    let whole = |stored: &crate::store::Stored| {
        let number = stored.metadata.pid.unwrap();
        assert_eq!(fs::read(&stored.dump).unwrap(), number.to_le_bytes().repeat(1000), "{number}");
        assert!(!stored.metadata.partial);
        number
    };
    store.pending().unwrap().iter().map(whole).collect()
}

#[test]
fn threads_that_commit_at_once_lose_nothing() {
    let folder = Folder::new(Limits::none());
    thread::scope(|scope| {
        for thread in 0..8 {
            let store = &folder.store;
            scope.spawn(move || all(store, thread * 32..thread * 32 + 32));
        }
    });
    assert_eq!(numbers(&folder.store), (0..256).collect());
    assert_eq!(folder.names().len(), 512);
}

#[test]
fn processes_that_commit_at_once_lose_nothing() {
    const NUMBER: &str = "FIRST_NUMBER_OF_TEST";
    if let Some(root) = given_root() {
        let first: u32 = std::env::var(NUMBER).unwrap().parse().unwrap();
        let store = Store::open(root, Limits::none()).unwrap();
        all(&store, first..first + 64);
        return;
    }
    let folder = Folder::new(Limits::none());
    let test = "store::tests::together::processes_that_commit_at_once_lose_nothing";
    let children: Vec<_> = (0..4)
        .map(|child| {
            let first = (child * 64).to_string();
            again(test, folder.store.root())
                .env(NUMBER, first)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(numbers(&folder.store), (0..256).collect());
    assert_eq!(folder.names().len(), 512);
}

#[test]
fn limits_hold_when_many_have_committed_at_once() {
    let folder = Folder::new(Limits { count: 10, ..Limits::none() });
    let committed = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for thread in 0..8 {
            let (store, committed) = (&folder.store, &committed);
            scope.spawn(move || {
                for number in 0..16 {
                    let id = numbered(store, thread * 16 + number);
                    committed.lock().unwrap().insert(id);
                }
            });
        }
    });
    let kept = folder.pending_ids();
    // Where one spares its own dump another may not, so each of the eight may have cost one more than needed.
    assert!((3..=10).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last(), committed.into_inner().unwrap().last(), "the youngest stays");
    assert_eq!(numbers(&folder.store).len(), kept.len());
    folder.store.prune().unwrap();
    assert_eq!(folder.names().len(), 2 * kept.len());
}

#[test]
fn whoever_sees_a_dump_sees_its_metadata_while_others_write_complete_and_tidy_up() {
    let folder = Folder::new(Limits::none());
    let (store, done) = (&folder.store, &AtomicBool::new(false));
    thread::scope(|scope| {
        let writers: Vec<_> =
            (0..2).map(|thread| scope.spawn(move || all(store, thread * 64..thread * 64 + 64))).collect();
        // Tidies up all the time: nothing of a living writer may go.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let pruned = store.prune().unwrap();
                assert_eq!((pruned.removed, pruned.recovered), (vec![], vec![]));
            }
        });
        // Takes what it sees, and so do others.
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for stored in store.pending().unwrap().into_iter().chain(store.completed().unwrap()) {
                        assert_eq!(stored.metadata.soft_errors, [""; 0], "{}", stored.id);
                        assert_eq!((stored.bytes, stored.metadata.partial), (4000, false));
                        let completed = store.complete(&stored.id).unwrap();
                        assert_eq!(completed.metadata, stored.metadata);
                    }
                }
            });
        }
        let written: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(written.iter().all(Result::is_ok));
    });
    for stored in store.pending().unwrap() {
        store.complete(&stored.id).unwrap();
    }
    store.prune().unwrap();
    let numbers: BTreeSet<u32> =
        store.completed().unwrap().iter().map(|stored| stored.metadata.pid.unwrap()).collect();
    assert_eq!(numbers, (0..128).collect());
    assert_eq!(folder.names().len(), 256);
}
