//! The limits by count, bytes and age.

use crate::store::clock::FIRST_PLAUSIBLE_US;
use crate::store::testing::{Folder, begun, commit};
use crate::store::{Id, Limits, Metadata, Store, StoreError};
use std::time::Duration;

const DAY_US: u64 = 86_400_000_000;
/// A time at which a clock that is set may stand.
const NOW_US: u64 = FIRST_PLAUSIBLE_US + 1000 * DAY_US;

/// A folder with four dumps, one a day until [`NOW_US`], the second of them completed.
fn four() -> (Folder, Vec<Id>) {
    let folder = Folder::new(Limits::none());
    let ids: Vec<Id> = (0..4).rev().map(|days| commit(&folder.store, NOW_US - days * DAY_US)).collect();
    folder.store.complete(&ids[1]).unwrap();
    (folder, ids)
}

/// The same folder with other limits.
fn limited(folder: &Folder, limits: Limits) -> Store {
    Store::open(folder.store.root(), limits).unwrap()
}

#[test]
fn the_count_is_kept_by_removing_completed_dumps_and_then_the_oldest() -> Result<(), StoreError> {
    let (folder, ids) = four();
    let store = limited(&folder, Limits { count: 3, ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, [ids[1]]);
    assert_eq!((folder.pending_ids(), folder.completed_ids()), (vec![ids[0], ids[2], ids[3]], vec![]));
    let store = limited(&folder, Limits { count: 1, ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, [ids[0], ids[2]]);
    assert_eq!(folder.names(), [format!("pending/{}.dmp", ids[3]), format!("pending/{}.json", ids[3])]);
    assert_eq!(store.prune_at(NOW_US)?.removed, []);
    Ok(())
}

#[test]
fn the_bytes_are_kept_and_counted_with_the_metadata() -> Result<(), StoreError> {
    let (folder, ids) = four();
    let sizes = |ids: &[Id]| -> u64 {
        let paths = ids.iter().flat_map(|id| [format!("pending/{id}.dmp"), format!("pending/{id}.json")]);
        paths.map(|path| std::fs::metadata(folder.at(&path)).unwrap().len()).sum()
    };
    let two = sizes(&ids[2..]);
    let store = limited(&folder, Limits { bytes: two, ..Limits::none() });
    let before = two + sizes(&ids[..1]);
    let pruned = store.prune_at(NOW_US)?;
    assert_eq!(pruned.removed, [ids[1], ids[0]]);
    assert_eq!(pruned.bytes, before - two + (before - two));
    assert_eq!(folder.pending_ids(), [ids[2], ids[3]]);
    let store = limited(&folder, Limits { bytes: two - 1, ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, [ids[2]]);
    Ok(())
}

#[test]
fn dumps_that_are_being_written_count_and_stay() -> Result<(), StoreError> {
    let (folder, ids) = four();
    let writing = begun(&folder.store, NOW_US, &vec![1; 1 << 20]);
    let store = limited(&folder, Limits { bytes: 1 << 20, ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, [ids[1], ids[0], ids[2], ids[3]]);
    assert!(writing.path().exists());
    Ok(())
}

#[test]
fn dumps_past_the_age_go_wherever_they_are() -> Result<(), StoreError> {
    let (folder, ids) = four();
    let age = Duration::from_micros(2 * DAY_US);
    let store = limited(&folder, Limits { age, ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, [ids[0]]);
    assert_eq!(store.prune_at(NOW_US + DAY_US)?.removed, [ids[1]]);
    assert_eq!(store.prune_at(NOW_US + DAY_US + 1)?.removed, [ids[2]]);
    assert_eq!(folder.pending_ids(), [ids[3]]);
    Ok(())
}

#[test]
fn what_goes_by_age_saves_the_others() -> Result<(), StoreError> {
    let (folder, ids) = four();
    let age = Duration::from_micros(2 * DAY_US);
    // The oldest is pending, but going it leaves room for the completed one.
    let store = limited(&folder, Limits { age, count: 3, ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, [ids[0]]);
    assert_eq!(folder.completed_ids(), [ids[1]]);
    Ok(())
}

#[test]
fn the_dump_just_committed_stays_whatever_the_limits() {
    let (folder, _) = four();
    let limits = Limits { count: 0, bytes: 0, age: Duration::ZERO, ..Limits::default() };
    let store = limited(&folder, limits);
    // By its name it is also the oldest of all.
    let stored = begun(&store, FIRST_PLAUSIBLE_US, b"MDMP").commit(&Metadata::now("program")).unwrap();
    assert_eq!(folder.store.pending().unwrap(), [stored]);
    assert_eq!(folder.completed_ids(), []);
}

#[test]
fn a_clock_that_was_wrong_neither_ages_dumps_nor_favours_them() -> Result<(), StoreError> {
    let folder = Folder::new(Limits::none());
    let unset = commit(&folder.store, 17);
    let future = commit(&folder.store, NOW_US + 400 * DAY_US);
    let sane = commit(&folder.store, NOW_US);
    let store = limited(&folder, Limits { age: Duration::from_micros(DAY_US), ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, []);
    let store = limited(&folder, Limits { count: 1, ..Limits::none() });
    assert_eq!(store.prune_at(NOW_US)?.removed, [future, unset]);
    assert_eq!(folder.pending_ids(), [sane]);
    Ok(())
}

#[test]
fn beginning_and_committing_keep_the_limits_by_themselves() {
    let folder = Folder::new(Limits { count: 3, per_program: u32::MAX, ..Limits::default() });
    let kept: Vec<Id> = (0..10)
        .map(|_| folder.store.begin("program").unwrap().commit(&Metadata::now("program")).unwrap().id)
        .collect();
    assert_eq!(folder.pending_ids(), kept[7..]);
    assert_eq!(folder.names().len(), 6);
}

#[test]
fn a_folder_that_is_tidied_elsewhere_keeps_its_limits_when_that_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { count: 1, ..Limits::none() };
    let store = Store::open(folder.path(), limits).unwrap().tidied_elsewhere();
    let commit = || {
        let mut dump = store.begin("program").unwrap();
        std::io::Write::write_all(&mut dump, b"MDMP and so on").unwrap();
        dump.commit(&Metadata::now("program")).unwrap().id
    };
    let (first, second) = (commit(), commit());
    assert_eq!(store.pending().unwrap().len(), 2, "nothing is removed while a program waits");
    assert_eq!(store.tidy_after(&second).unwrap().removed, [first]);
    assert_eq!(store.pending().unwrap()[0].id, second);
}
