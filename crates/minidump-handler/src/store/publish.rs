//! Files that appear whole or not at all, and the step from `new` to `pending`.

use super::files::{is_full, open_or_create, overwrite, remove_regular};
use super::layout::{Layout, Place};
use super::{Id, Metadata, Store, StoreError, clock, os, room};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many names are tried. A second is needed when a sweep takes the file between its making and its locking.
const NAME_ATTEMPTS: u32 = 16;

/// A file in `new` whose lock is held.
pub(super) struct Locked {
    pub id: Id,
    pub path: PathBuf,
    pub file: File,
}

impl Store {
    /// Makes an empty, locked file under a fresh name; `path` tells where a name leads.
    pub(super) fn create_locked(
        when_us: u64,
        path: impl Fn(&Id) -> PathBuf,
        mut create: impl FnMut(&Path) -> io::Result<File>,
    ) -> io::Result<Locked> {
        for _ in 0..NAME_ATTEMPTS {
            let id = Id::fresh(when_us);
            let path = path(&id);
            let file = match create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            if os::try_lock(&file) != os::Lock::Held && os::has_a_name(&file) {
                return Ok(Locked { id, path, file });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Writes a small file and gives it its name in one step, replacing what has it.
    pub(super) fn put(&self, target: &Path, bytes: &[u8]) -> io::Result<()> {
        let Locked { path, mut file, .. } =
            Self::create_locked(clock::now_us(), |id| self.layout.temporary(id), os::create_private)?;
        let written = file.write_all(bytes);
        let synced = written.and_then(|()| if self.durable { file.sync_all() } else { Ok(()) });
        let done = synced.and_then(|()| os::rename(&path, target, self.durable));
        if done.is_err() {
            // The error that led here matters more, and the next sweep finds the file.
            let _ = remove_regular(&path);
        }
        done
    }

    /// Writes what is known of the dump `id` to `new`. The caller holds the lock of the dump.
    ///
    /// The file is written over, not replaced: making files is what takes longest here, and a page that a file has
    /// is its own on a full disk too. Where older dumps do not make enough room for all, the essentials go there.
    pub(super) fn describe(&self, id: &Id, metadata: &Metadata) -> Result<(), StoreError> {
        let path = self.layout.metadata(Place::New, id);
        let write = |metadata: &Metadata, unseen: &mut u32| {
            let bytes = metadata.encode().map_err(io::Error::from)?;
            self.with_room(Some(id), unseen, || {
                let file = open_or_create(&path)?;
                overwrite(&file, &bytes)?;
                if self.durable { file.sync_all() } else { Ok(()) }
            })
        };
        let mut unseen = room::MOST_UNSEEN;
        let done = match write(metadata, &mut unseen) {
            Err(error) if is_full(&error) => write(&metadata.essentials(), &mut 0),
            done => done,
        };
        done.map_err(StoreError::file("write", &path))
    }

    /// Moves the dump `id` from `new` to `pending`, its metadata first. The caller holds the lock of the dump.
    pub(super) fn publish(&self, id: &Id, metadata: &Metadata) -> Result<(), StoreError> {
        self.describe(id, metadata)?;
        for path in [Layout::metadata, Layout::dump] {
            let from = path(&self.layout, Place::New, id);
            os::rename(&from, &path(&self.layout, Place::Pending, id), self.durable)
                .map_err(StoreError::file("move", &from))?;
        }
        self.sync(Place::Pending)
    }

    /// Waits until the medium has the names of a directory, where that was asked for.
    pub(super) fn sync(&self, place: Place) -> Result<(), StoreError> {
        let path = self.layout.directory(place);
        if self.durable { os::sync_directory(&path).map_err(StoreError::file("sync", &path)) } else { Ok(()) }
    }
}
