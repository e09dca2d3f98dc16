//! A dump directory into which somebody has put things.

use crate::store::testing::{Folder, commit, minidump};
use crate::store::{Id, Limits, MAX_METADATA_BYTES, Metadata, Store, StoreError};
use minidump_writer::snapshot::SoftError;
use proptest::prelude::*;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Makes a symbolic link. On Windows not everybody may, and not every file system can.
fn is_linked(target: &Path, link: &Path) -> bool {
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(target, link);
    #[cfg(windows)]
    let made = if target.is_dir() {
        std::os::windows::fs::symlink_dir(target, link)
    } else {
        std::os::windows::fs::symlink_file(target, link)
    };
    if let Err(error) = &made {
        #[cfg(unix)]
        panic!("{error}");
        #[cfg(windows)]
        eprintln!("left out: no symbolic link can be made here: {error}");
    }
    // Wine says that it has made one where it has not.
    made.is_ok() && fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink())
}

/// Limits that remove whatever may be removed.
fn greedy(folder: &Folder) -> Store {
    Store::open(folder.store.root(), Limits { count: 0, bytes: 0, ..Limits::none() }).unwrap()
}

/// What systems say of a file that is not there: ENOENT, and `ERROR_FILE_NOT_FOUND`.
const MISSING: i32 = 2;

const PARTS: [&str; 4] = ["new", "pending", "completed", "recent"];

#[test]
fn files_of_other_names_are_never_touched() {
    let folder = Folder::new(Limits::none());
    let id = Id::of(5, 6, 7);
    let names = [
        "notes.txt".to_owned(),
        "..dmp".to_owned(),
        "...json".to_owned(),
        format!("{id}"),
        format!("{id}.dmp.gz"),
        format!("{id}.DMP"),
        format!(" {id}.dmp"),
        format!("{id}-1.dmp"),
        "20260230T000000.000000Z-1-00000000.dmp".to_owned(),
    ];
    for part in PARTS {
        for name in &names {
            fs::write(folder.at(part).join(name), minidump("foreign")).unwrap();
        }
    }
    let store = greedy(&folder);
    assert_eq!(store.prune().unwrap(), crate::store::Pruned::default());
    assert_eq!((store.pending().unwrap(), store.completed().unwrap()), (vec![], vec![]));
    for part in PARTS {
        for name in &names {
            assert_eq!(fs::read(folder.at(part).join(name)).unwrap(), minidump("foreign"), "{part}/{name}");
        }
    }
}

#[test]
fn links_are_not_followed() {
    let folder = Folder::new(Limits::none());
    let outside = folder.outside("precious");
    fs::write(&outside, minidump("precious")).unwrap();
    let id = Id::of(5, 6, 7);
    let mut links: Vec<PathBuf> = Vec::new();
    for part in PARTS {
        for kind in ["dmp", "json", "tmp"] {
            links.push(folder.at(part).join(format!("{id}.{kind}")));
        }
    }
    links.push(folder.at("recent/0123456789abcdef.json"));
    for link in &links {
        if !is_linked(&outside, link) {
            return;
        }
    }
    let store = greedy(&folder);
    assert_eq!(store.prune().unwrap(), crate::store::Pruned::default());
    assert_eq!((store.pending().unwrap(), store.completed().unwrap()), (vec![], vec![]));
    assert!(matches!(store.complete(&id), Err(StoreError::NotFound { .. })));
    assert!(matches!(store.remove(&id), Err(StoreError::NotFound { .. })));
    assert_eq!(store.damped().unwrap(), []);
    assert_eq!(fs::read(&outside).unwrap(), minidump("precious"));
    for link in links {
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{}", link.display());
    }
}

#[test]
fn directories_and_fifos_in_place_of_files_do_not_stop_anything() {
    let folder = Folder::new(Limits::none());
    let (directory, fifo) = (Id::of(5, 6, 7), Id::of(6, 6, 7));
    for part in PARTS {
        for kind in ["dmp", "json", "tmp"] {
            fs::create_dir(folder.at(part).join(format!("{directory}.{kind}"))).unwrap();
            let path = folder.at(part).join(format!("{fifo}.{kind}"));
            if cfg!(unix) {
                assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
            }
        }
    }
    let before = folder.names();
    let store = greedy(&folder);
    assert_eq!(store.prune().unwrap(), crate::store::Pruned::default());
    assert_eq!(store.pending().unwrap(), []);
    assert_eq!(folder.names(), before);
    let dump = store.begin("program").err();
    assert!(dump.is_none(), "{dump:?}");
}

#[test]
fn a_part_that_is_a_link_is_refused() {
    for part in PARTS {
        let folder = Folder::new(Limits::none());
        fs::create_dir(folder.outside("elsewhere")).unwrap();
        fs::remove_dir(folder.at(part)).unwrap();
        if !is_linked(&folder.outside("elsewhere"), &folder.at(part)) {
            return;
        }
        let refused = |error: Option<StoreError>| match error {
            Some(StoreError::NotADirectory { path }) => assert_eq!(path, folder.at(part)),
            other => panic!("{other:?}"),
        };
        refused(Store::open(folder.store.root(), Limits::none()).err());
        refused(folder.store.begin("program").err());
    }
}

fn why(metadata: &Metadata) -> String {
    serde_json::from_value::<SoftError>(metadata.soft_errors[0].clone()).unwrap().message
}

#[test]
fn a_dump_with_metadata_that_cannot_be_read_is_still_a_dump() {
    let folder = Folder::new(Limits::none());
    let huge = vec![b' '; usize::try_from(MAX_METADATA_BYTES).unwrap() + 1];
    let texts: [(&[u8], &str); 4] = [
        (b"", "EOF while parsing"),
        (b"{\"version\": \"one\"}", "invalid type"),
        (&huge, "file too large"),
        (b"\xff\xfe\0", "expected value"),
    ];
    for (number, (text, reason)) in (1..).zip(texts) {
        let id = commit(&folder.store, number);
        fs::write(folder.at(&format!("pending/{id}.json")), text).unwrap();
        let stored = folder.store.pending().unwrap().pop().unwrap();
        assert_eq!((stored.id, stored.bytes, stored.metadata.when_us), (id, 1000, number));
        assert!(why(&stored.metadata).contains(reason), "{}", why(&stored.metadata));
        let completed = folder.store.complete(&id).unwrap();
        assert_eq!((completed.bytes, completed.metadata.when_us), (1000, number));
        folder.store.remove(&id).unwrap();
        assert_eq!(folder.names(), [""; 0]);
    }
}

#[test]
fn a_dump_without_metadata_is_still_a_dump() {
    let folder = Folder::new(Limits::none());
    let id = commit(&folder.store, 5);
    fs::remove_file(folder.at(&format!("pending/{id}.json"))).unwrap();
    assert!(
        why(&folder.store.pending().unwrap()[0].metadata)
            .contains(&io::Error::from_raw_os_error(MISSING).to_string())
    );
    let completed = folder.store.complete(&id).unwrap();
    assert_eq!((completed.id, completed.bytes), (id, 1000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_names_and_contents_stop_the_store(
        files in proptest::collection::vec(
            (0_usize..4, "[0-9TZ.-]{0,40}|[a-z.]{1,12}", "(dmp|json|tmp|lock)", any::<Vec<u8>>()),
            0..12,
        ),
    ) {
        let folder = Folder::new(Limits::none());
        for (number, (part, stem, kind, bytes)) in files.iter().enumerate() {
            let named = folder.at(PARTS[*part]).join(format!("{stem}.{kind}"));
            let ours = folder.at(PARTS[*part]).join(format!("{}.{kind}", Id::of(number as u64, 1, 1)));
            fs::write(named, bytes).unwrap();
            fs::write(ours, bytes).unwrap();
        }
        folder.store.prune().unwrap();
        folder.store.pending().unwrap();
        folder.store.damped().unwrap();
        let stored = folder.store.begin("program").unwrap().commit(&Metadata::now("program")).unwrap();
        prop_assert!(folder.store.pending().unwrap().contains(&stored));
    }
}
