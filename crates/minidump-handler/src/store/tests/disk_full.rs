//! A disk that is really full: a small file system in memory, mounted in a mount namespace of its own.

use crate::store::testing::{Folder, again, begun, given_root, ids, minidump};
use crate::store::{Id, Limits, Metadata, Store, StoreError};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

const PAGE: usize = 4096;

/// Runs `test` again, with its dump directory on a disk of so many KiB, where files take whole pages. Where a process may
/// not mount anything, says so and does nothing.
fn on_a_disk(kib: u32, test: &str) {
    let folder = Folder::new(Limits::none());
    let place = folder.outside("disk");
    fs::create_dir(&place).unwrap();
    let plain = again(test, &place.join("dumps"));
    let script = format!("mount -t tmpfs -o size={kib}k none \"$0\" || exit 99; exec \"$@\"");
    for namespaces in ["-m", "-rm"] {
        let mut command = std::process::Command::new("unshare");
        command.args([namespaces, "sh", "-c", &script]).arg(&place);
        command.arg(plain.get_program()).args(plain.get_args());
        for (name, value) in plain.get_envs() {
            command.env(name, value.unwrap());
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            assert!(text.contains("1 passed"), "{text}");
            return;
        }
        let may_not = output.status.code() == Some(99) || text.is_empty();
        assert!(may_not, "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    eprintln!("left out: this process may not mount a file system");
}

/// The store on the small disk, in the process that has it.
fn small() -> Option<Store> {
    given_root().map(|root| Store::open(root, Limits::none()).unwrap())
}

/// Fills what is left of the disk.
fn fill(root: &Path) -> fs::File {
    let mut ballast = fs::File::create(root.join("ballast")).unwrap();
    while ballast.write(&[1; PAGE]).is_ok() {}
    ballast
}

fn dumps(store: &Store, when: std::ops::RangeInclusive<u64>, pages: usize) -> Vec<Id> {
    let commit =
        |when| begun(store, when, &vec![1; pages * PAGE]).commit(&Metadata::now("program")).unwrap().id;
    when.map(commit).collect()
}

#[test]
fn a_dump_on_a_full_disk_takes_the_place_of_those_already_taken() {
    let Some(store) = small() else {
        on_a_disk(
            256,
            "store::tests::disk_full::a_dump_on_a_full_disk_takes_the_place_of_those_already_taken",
        );
        return;
    };
    let seen = dumps(&store, 1..=4, 4);
    let unseen = dumps(&store, 5..=6, 4);
    for id in &seen {
        store.complete(id).unwrap();
    }
    let _ballast = fill(store.root());
    let mut dump = store.begin("program").unwrap();
    dump.write_all(&vec![2; 8 * PAGE]).unwrap();
    let stored = dump.commit(&Metadata::now("program")).unwrap();
    assert_eq!(fs::read(&stored.dump).unwrap(), vec![2; 8 * PAGE]);
    assert!(!stored.metadata.partial);
    assert_eq!(ids(&store.pending().unwrap()), [unseen[0], unseen[1], stored.id]);
    // Of four pages and one of metadata each: what is begun costs one, eight pages and the rest another.
    assert_eq!(ids(&store.completed().unwrap()), seen[2..]);
}

#[test]
fn a_dump_that_cannot_be_finished_is_kept_as_far_as_it_got() {
    let Some(store) = small() else {
        on_a_disk(256, "store::tests::disk_full::a_dump_that_cannot_be_finished_is_kept_as_far_as_it_got");
        return;
    };
    let older = dumps(&store, 1..=3, 4);
    let mut dump = store.begin("program").unwrap();
    dump.write_all(&minidump("essentials")).unwrap();
    let error = io::copy(&mut io::repeat(3), &mut dump).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let written = dump.written();
    assert!(written > 40 * PAGE as u64, "{written}");
    let stored =
        dump.commit_partial(&Metadata { reason: "SIGSEGV".into(), ..Metadata::now("program") }).unwrap();
    let bytes = fs::read(&stored.dump).unwrap();
    assert!(bytes.starts_with(&minidump("essentials")));
    assert!(bytes[minidump("essentials").len()..].iter().all(|byte| *byte == 3));
    assert_eq!((stored.bytes, bytes.len() as u64), (written, written));
    // Nobody had seen the older ones, but they were few and the essentials of the new one come first.
    let left = store.pending().unwrap();
    assert_eq!(ids(&left), [stored.id]);
    assert!(older.iter().all(|id| matches!(store.remove(id), Err(StoreError::NotFound { .. }))));
    assert!(left[0].metadata.partial);
}

#[test]
fn what_comes_after_the_essentials_costs_nothing_that_nobody_has_seen() {
    let Some(store) = small() else {
        on_a_disk(
            2048,
            "store::tests::disk_full::what_comes_after_the_essentials_costs_nothing_that_nobody_has_seen",
        );
        return;
    };
    let unseen = dumps(&store, 1..=2, 4);
    let mut dump = store.begin("program").unwrap();
    dump.write_all(&minidump("essentials")).unwrap();
    assert_eq!(io::copy(&mut io::repeat(3), &mut dump).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(dump.written() > 1 << 20, "{}", dump.written());
    let stored = dump.commit_partial(&Metadata::now("program")).unwrap();
    assert_eq!(ids(&store.pending().unwrap()), [unseen[0], unseen[1], stored.id]);
}

#[test]
fn metadata_have_their_room_from_the_beginning() {
    let Some(store) = small() else {
        on_a_disk(256, "store::tests::disk_full::metadata_have_their_room_from_the_beginning");
        return;
    };
    let mut dump = store.begin("program").unwrap();
    dump.write_all(&minidump("whole")).unwrap();
    let _ballast = fill(store.root());
    let metadata = Metadata { reason: "SIGSEGV".into(), ..Metadata::now("program") };
    let stored = dump.commit(&metadata).unwrap();
    assert_eq!((stored.metadata.clone(), fs::read(&stored.dump).unwrap()), (metadata, minidump("whole")));
    assert_eq!(store.pending().unwrap(), [stored]);
}

#[test]
fn metadata_that_find_no_room_are_cut_to_the_essentials() {
    let Some(store) = small() else {
        on_a_disk(256, "store::tests::disk_full::metadata_that_find_no_room_are_cut_to_the_essentials");
        return;
    };
    let mut dump = store.begin("program").unwrap();
    dump.write_all(&minidump("whole")).unwrap();
    let _ballast = fill(store.root());
    let mut metadata = Metadata { reason: "SIGSEGV".into(), ..Metadata::now("program") };
    metadata.annotations.insert("log".into(), "x".repeat(5 * PAGE));
    let stored = dump.commit(&metadata).unwrap();
    assert_eq!(store.pending().unwrap(), std::slice::from_ref(&stored));
    let Metadata { program, reason, partial, soft_errors, annotations, .. } = stored.metadata;
    assert_eq!((program.as_str(), reason.as_str(), partial), ("program", "SIGSEGV", false));
    assert!(annotations.is_empty());
    assert_eq!(soft_errors[0]["message"], "the disk was full, so only the essentials were kept");
}

#[test]
fn where_there_is_nothing_to_give_up_the_error_says_why() {
    let Some(store) = small() else {
        on_a_disk(256, "store::tests::disk_full::where_there_is_nothing_to_give_up_the_error_says_why");
        return;
    };
    let mut dump = store.begin("program").unwrap();
    let _ballast = fill(store.root());
    let error = dump.write(&[1; PAGE]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    drop(dump);
    let error = StoreError::file("write", Path::new("x"))(error);
    assert!(error.is_disk_full());
}
