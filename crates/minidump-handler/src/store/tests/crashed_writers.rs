//! What writers leave behind that die at any point.

use crate::store::layout::Place;
use crate::store::testing::{Folder, again, begun, die, dump_path, given_root, minidump};
use crate::store::{Id, Limits, Metadata, Store};
use minidump_writer::snapshot::SoftError;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

fn known() -> Metadata {
    Metadata { pid: Some(77), reason: "SIGSEGV at 0x0".into(), ..Metadata::now("program") }
}

/// The one dump in `pending`, which must be that of `id` with nothing left elsewhere.
fn recovered(folder: &Folder, id: Id) -> Metadata {
    assert_eq!(folder.names(), [format!("pending/{id}.dmp"), format!("pending/{id}.json")]);
    folder.store.pending().unwrap().remove(0).metadata
}

/// The first two steps of a commit: the metadata are written, and moved.
fn metadata_moved(folder: &Folder, id: &Id) {
    folder.store.describe(id, &known()).unwrap();
    let [from, to] = ["new", "pending"].map(|part| folder.at(&format!("{part}/{id}.json")));
    fs::rename(from, to).unwrap();
}

fn last_error(metadata: &Metadata) -> String {
    serde_json::from_value::<SoftError>(metadata.soft_errors.last().unwrap().clone()).unwrap().message
}

#[test]
fn a_readable_beginning_is_kept_with_what_was_known() {
    let folder = Folder::new(Limits::none());
    let dump = begun(&folder.store, 5, &minidump("begun"));
    dump.announce(&known());
    let id = die(dump);
    let pruned = folder.store.prune().unwrap();
    assert_eq!((pruned.recovered, pruned.removed), (vec![id], vec![]));
    let metadata = recovered(&folder, id);
    assert_eq!(
        (metadata.pid, metadata.reason.as_str(), metadata.partial),
        (Some(77), "SIGSEGV at 0x0", true)
    );
    assert_eq!(last_error(&metadata), "the writer ended before the dump was finished");
    assert_eq!(fs::read(dump_path(&folder.store, Place::Pending, &id)).unwrap(), minidump("begun"));
}

#[test]
fn a_writer_that_announced_nothing_is_known_by_its_program() {
    let folder = Folder::new(Limits::none());
    let id = die(begun(&folder.store, 5_000_000, &minidump("")));
    folder.store.prune().unwrap();
    let metadata = recovered(&folder, id);
    assert_eq!((metadata.program.as_str(), metadata.when_us, metadata.partial), ("program", 5_000_000, true));
}

#[test]
fn what_has_no_readable_beginning_is_removed() {
    let folder = Folder::new(Limits::none());
    die(begun(&folder.store, 5, b""));
    die(begun(&folder.store, 6, b"MDMP"));
    let pruned = folder.store.prune().unwrap();
    assert_eq!((pruned.recovered, pruned.litter), (vec![], 4));
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn the_dump_of_a_living_writer_is_left_alone() {
    let folder = Folder::new(Limits::none());
    let dump = begun(&folder.store, 5, &minidump("whole"));
    let before = folder.names();
    assert_eq!(folder.store.prune().unwrap(), crate::store::Pruned::default());
    assert_eq!(folder.names(), before);
    let stored = dump.commit(&known()).unwrap();
    assert_eq!(fs::read(stored.dump).unwrap(), minidump("whole"));
    assert!(!stored.metadata.partial);
}

#[test]
fn a_commit_that_ends_after_the_metadata_is_finished_as_whole() {
    let folder = Folder::new(Limits::none());
    // No minidump: that it is whole is told by its metadata, not by its bytes.
    let dump = begun(&folder.store, 5, b"whole");
    metadata_moved(&folder, &dump.id());
    assert_eq!(folder.store.pending().unwrap(), []);
    // The writer lives still.
    folder.store.prune().unwrap();
    assert_eq!(folder.names().len(), 2);
    let id = die(dump);
    assert_eq!(folder.store.prune().unwrap().recovered, [id]);
    let metadata = recovered(&folder, id);
    assert_eq!(metadata, Metadata { when_us: metadata.when_us, ..known() });
    assert_eq!(fs::read(dump_path(&folder.store, Place::Pending, &id)).unwrap(), b"whole");
}

#[test]
fn a_commit_that_ends_before_its_metadata_are_moved_is_known_by_them() {
    let folder = Folder::new(Limits::none());
    let dump = begun(&folder.store, 5, &minidump("whole"));
    folder.store.describe(&dump.id(), &known()).unwrap();
    let id = die(dump);
    folder.store.prune().unwrap();
    let metadata = recovered(&folder, id);
    assert_eq!((metadata.pid, metadata.partial), (Some(77), true));
}

#[test]
fn a_commit_that_ends_after_the_move_needs_only_tidying() {
    let folder = Folder::new(Limits::none());
    let dump = begun(&folder.store, 5, b"whole");
    let (id, from) = (dump.id(), dump.path().to_path_buf());
    metadata_moved(&folder, &id);
    fs::rename(from, dump_path(&folder.store, Place::Pending, &id)).unwrap();
    die(dump);
    assert_eq!(folder.store.pending().unwrap()[0].metadata.pid, Some(77));
    folder.store.prune().unwrap();
    assert_eq!(recovered(&folder, id).pid, Some(77));
}

#[test]
fn a_metadata_file_that_was_never_named_is_removed() {
    let folder = Folder::new(Limits::none());
    let id = Id::of(5, 6, 7);
    fs::write(folder.at(&format!("new/{id}.tmp")), b"{\"version\"").unwrap();
    assert_eq!(folder.store.prune().unwrap().litter, 1);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_completion_that_ends_half_way_shows_one_whole_dump_and_can_be_done_again() {
    let folder = Folder::new(Limits::none());
    let stored = begun(&folder.store, 5, b"whole").commit(&known()).unwrap();
    let [pending, completed] =
        ["pending", "completed"].map(|part| folder.at(&format!("{part}/{}", stored.id)));
    let with = |path: &std::path::Path, kind: &str| format!("{}.{kind}", path.display());
    fs::copy(with(&pending, "json"), with(&completed, "json")).unwrap();
    assert_eq!((folder.pending_ids(), folder.completed_ids()), (vec![stored.id], vec![]));
    folder.store.prune().unwrap();
    assert_eq!(folder.store.pending().unwrap(), std::slice::from_ref(&stored));
    fs::rename(with(&pending, "dmp"), with(&completed, "dmp")).unwrap();
    assert_eq!((folder.pending_ids(), folder.completed_ids()), (vec![], vec![stored.id]));
    assert_eq!(folder.store.prune().unwrap().litter, 1);
    assert_eq!(folder.store.complete(&stored.id).unwrap().metadata, stored.metadata);
    assert_eq!(folder.names().len(), 2);
}

#[test]
fn a_completion_begun_before_is_done_with_the_metadata_of_now() {
    let folder = Folder::new(Limits::none());
    let stored = begun(&folder.store, 5, b"whole").commit(&known()).unwrap();
    fs::write(folder.at(&format!("completed/{}.json", stored.id)), b"torn").unwrap();
    assert_eq!(folder.store.complete(&stored.id).unwrap().metadata, stored.metadata);
}

/// A real process, really killed.
#[test]
fn the_dump_of_a_killed_process_is_recovered_when_it_is_dead_and_not_before() {
    const TEST: &str = concat!(
        "store::tests::crashed_writers::",
        "the_dump_of_a_killed_process_is_recovered_when_it_is_dead_and_not_before"
    );
    if let Some(root) = given_root() {
        let store = Store::open(root, Limits::none()).unwrap();
        let mut dump = store.begin("program").unwrap();
        dump.announce(&known());
        dump.write_all(&minidump("as far as it got")).unwrap();
        println!("\nbegun {}", dump.id());
        // Until the parent kills this process or is gone itself.
        let _ = std::io::stdin().read_line(&mut String::new());
        return;
    }
    let folder = Folder::new(Limits::none());
    let mut child =
        again(TEST, folder.store.root()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let id: Id = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("begun ").map(|id| id.parse().unwrap()))
        .unwrap();
    assert_eq!(id.writer_pid(), child.id());
    assert_eq!(folder.store.prune().unwrap().recovered, []);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(folder.store.prune().unwrap().recovered, [id]);
    let metadata = recovered(&folder, id);
    assert_eq!((metadata.pid, metadata.partial), (Some(77), true));
    assert_eq!(
        fs::read(dump_path(&folder.store, Place::Pending, &id)).unwrap(),
        minidump("as far as it got")
    );
}
