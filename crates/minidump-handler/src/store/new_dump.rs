//! A dump that is being written.

use super::files::remove_regular;
use super::layout::Place;
use super::publish::Locked;
use super::{Id, Metadata, Pruned, Store, StoreError, Stored, clock, os, recent, room};
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};

/// Dumps begin with what matters most: exception, crashing thread, modules. For this many bytes dumps that nobody has
/// seen may be given up, for what comes after them only those that somebody has.
const ESSENTIALS: u64 = 1 << 20;

/// A dump that is being written to `new`. It appears in `pending` with [`commit`](Self::commit) or
/// [`commit_partial`](Self::commit_partial); dropping it without removes it.
///
/// Writes are not buffered. Where the disk is full, older dumps are given up, and only then a write fails with
/// [`io::ErrorKind::StorageFull`].
#[derive(Debug)]
pub struct NewDump {
    store: Store,
    id: Id,
    path: PathBuf,
    file: File,
    program: String,
    written: u64,
    /// How many dumps that nobody has seen may still go for this one.
    unseen: u32,
    pub(super) finished: bool,
}

impl NewDump {
    pub(super) fn create(
        store: &Store,
        program: &str,
        now_us: u64,
        known: &Metadata,
    ) -> Result<Self, StoreError> {
        let mut unseen = room::MOST_UNSEEN;
        let made = Store::create_locked(
            now_us,
            |id| store.layout.dump(Place::New, id),
            |path| store.with_room(None, &mut unseen, || os::create_private(path)),
        );
        let failed = StoreError::file("make a file in", &store.layout.directory(Place::New));
        let Locked { id, path, file } = made.map_err(failed)?;
        let program = program.to_owned();
        let dump =
            Self { store: store.clone(), id, path, file, program, written: 0, unseen, finished: false };
        dump.announce(known);
        Ok(dump)
    }

    /// The name of the dump.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Where it is being written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for those who have to write to a descriptor. What does not go through [`Write`] is not counted
    /// by [`written`](Self::written), and a full disk is then the writer's own affair.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The bytes that have been written.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Puts down what is known so far, for the case that the writer does not live to commit the dump. It costs
    /// nothing but this if it fails.
    pub fn announce(&self, metadata: &Metadata) {
        let known = Metadata { partial: true, ..metadata.clone() };
        let _ = self.store.describe(&self.id, &known);
    }

    /// Moves the dump, which is whole, to `pending` with its metadata, and removes what is now over the limits.
    ///
    /// # Errors
    /// [`StoreError::File`]. The dump then stays in `new`, where the next [`Store::prune`] or [`Store::begin`] treats it as
    /// that of a dead writer.
    pub fn commit(self, metadata: &Metadata) -> Result<Stored, StoreError> {
        self.finish(metadata.clone())
    }

    /// Like [`commit`](Self::commit) for a dump that ends early, of which the metadata will tell.
    ///
    /// # Errors
    /// Those of [`commit`](Self::commit).
    pub fn commit_partial(self, metadata: &Metadata) -> Result<Stored, StoreError> {
        // Nothing that a failed write left behind the last byte that went well.
        if self.file.metadata().is_ok_and(|found| found.len() > self.written) && self.written > 0 {
            self.file.set_len(self.written).map_err(StoreError::file("cut", &self.path))?;
        }
        self.finish(Metadata { partial: true, ..metadata.clone() })
    }

    fn finish(mut self, mut metadata: Metadata) -> Result<Stored, StoreError> {
        // From here on it is worth more than its commit: what fails now, the next sweep finishes.
        self.finished = true;
        if self.store.durable {
            self.file.sync_all().map_err(StoreError::file("sync", &self.path))?;
        }
        let dropped = recent::take_dropped(&self.store, &self.program);
        metadata.dropped = metadata.dropped.saturating_add(dropped);
        if let Err(error) = self.store.publish(&self.id, &metadata) {
            recent::give_back(&self.store, &self.program, dropped);
            return Err(error);
        }
        // Old dumps that cannot be removed are for the next prune to complain about.
        if !self.store.is_tidied_elsewhere {
            let _ = self.store.keep_limits(clock::now_us(), Some(&self.id), &mut Pruned::default());
        }
        // As it is kept; in the meantime it may already have been taken.
        let kept = self.store.stored(Place::Pending, &self.id);
        Ok(kept.unwrap_or_else(|| Stored {
            id: self.id,
            dump: self.store.layout.dump(Place::Pending, &self.id),
            bytes: self.file.metadata().map_or(self.written, |found| found.len()),
            metadata,
        }))
    }

    fn write_with(&mut self, mut write: impl FnMut(&mut File) -> io::Result<usize>) -> io::Result<usize> {
        let Self { store, id, file, written, unseen, .. } = self;
        let unseen = if *written < ESSENTIALS { unseen } else { &mut 0 };
        let done = store.with_room(Some(id), unseen, || write(file))?;
        *written = written.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        Ok(done)
    }
}

impl Write for NewDump {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_with(|file| file.write(bytes))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|file| file.write_vectored(pieces))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for NewDump {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now, the next sweep finds.
            let _ = remove_regular(&self.path);
            let _ = remove_regular(&self.store.layout.metadata(Place::New, &self.id));
        }
    }
}
