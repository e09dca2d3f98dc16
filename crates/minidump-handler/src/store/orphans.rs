//! What dead writers left behind.
//!
//! Whoever writes a file in `new` holds its lock, and the kernel drops the lock when the writer dies. So whoever gets
//! the lock of a file that still stands in `new` may finish it or remove it, and nobody else will do so meanwhile.

use super::files::{open_regular, read_limited, regular_len, remove_regular};
use super::layout::{Listing, Place};
use super::metadata::MAX_METADATA_BYTES;
use super::{Id, Metadata, Pruned, Store, StoreError, beginning, os};
use minidump_writer::snapshot::{SoftError, Stage};
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Where there are no locks, a file that nobody has written to for this long has no writer any more.
const FORSAKEN: Duration = Duration::from_secs(3600);

/// Finishes or removes what dead writers left in `new`, and removes metadata without a dump.
///
/// # Errors
/// The first thing that could not be done. The others have been tried.
pub(super) fn sweep(store: &Store, pruned: &mut Pruned) -> Result<(), StoreError> {
    let listing = store.layout.list(Place::New)?;
    let mut outcome = Ok(());
    for id in &listing.dumps {
        outcome = outcome.and(settle(store, id, pruned));
    }
    for id in &listing.temporary {
        let path = store.layout.temporary(id);
        // Its lock is held until it is gone, or one who has just made it would take it for its own.
        if let Some(_locked) = forsaken(&path) {
            outcome = outcome.and(remove(&path, pruned));
        }
    }
    for id in &listing.metadata {
        if regular_len(&store.layout.dump(Place::New, id)).is_none() {
            outcome = outcome.and(remove(&store.layout.metadata(Place::New, id), pruned));
        }
    }
    // In this order: what moves on between two looks is found at the second.
    for (before, place) in [(Place::New, Place::Pending), (Place::Pending, Place::Completed)] {
        let Listing { dumps, metadata, .. } = store.layout.list(place)?;
        let dumps: HashSet<Id> = dumps.into_iter().collect();
        for id in metadata.iter().filter(|id| !dumps.contains(id)) {
            let has_dump = |place| regular_len(&store.layout.dump(place, id)).is_some();
            if !has_dump(before) && !has_dump(place) {
                outcome = outcome.and(remove(&store.layout.metadata(place, id), pruned));
            }
        }
    }
    outcome
}

/// The file, locked, when its writer is dead.
fn forsaken(path: &Path) -> Option<File> {
    let file = open_regular(path, true).ok()?;
    let dead = match os::try_lock(&file) {
        os::Lock::Taken => true,
        os::Lock::Held => false,
        os::Lock::Unsupported => {
            let written = file.metadata().and_then(|found| found.modified()).ok()?;
            SystemTime::now().duration_since(written).is_ok_and(|since| since > FORSAKEN)
        }
    };
    // A writer that was about to finish has moved it before it let go of the lock.
    (dead && os::is_named(&file, path)).then_some(file)
}

/// Moves the dump of a dead writer to `pending` if there is something in it, or removes it.
fn settle(store: &Store, id: &Id, pruned: &mut Pruned) -> Result<(), StoreError> {
    let path = store.layout.dump(Place::New, id);
    let Some(mut file) = forsaken(&path) else { return Ok(()) };
    if regular_len(&store.layout.metadata(Place::Pending, id)).is_some() {
        // Metadata come after the last byte of the dump: only the last step is missing.
        let target = store.layout.dump(Place::Pending, id);
        os::rename(&path, &target, store.durable).map_err(StoreError::file("move", &path))?;
    } else if beginning::is_readable(&mut file) {
        store.publish(id, &last_words(store, id))?;
    } else {
        return remove(&path, pruned);
    }
    pruned.recovered.push(*id);
    Ok(())
}

/// What the writer knew when it began.
fn last_words(store: &Store, id: &Id) -> Metadata {
    let told = read_limited(&store.layout.metadata(Place::New, id), MAX_METADATA_BYTES)
        .map_err(|error| error.to_string())
        .and_then(|bytes| Metadata::decode(&bytes).map_err(|error| error.to_string()));
    let mut metadata = told.unwrap_or_else(|why| Metadata::unknown(id, &why));
    metadata.partial = true;
    metadata.note(&SoftError::new(Stage::Format, "the writer ended before the dump was finished"));
    metadata
}

fn remove(path: &Path, pruned: &mut Pruned) -> Result<(), StoreError> {
    if remove_regular(path).map_err(StoreError::file("remove", path))? {
        pruned.litter = pruned.litter.saturating_add(1);
    }
    Ok(())
}
