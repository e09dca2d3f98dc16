//! The folder in which dumps are kept: `new` → `pending` → `completed`.
//!
//! A dump is begun in `new`, appears in `pending` together with its metadata when it is whole, and moves to
//! `completed` when somebody has taken it. Processes share a folder without knowing of each other: names are unique by
//! themselves, each step is one rename, and the only locks are those that the kernel drops when their holder dies.
//! `docs/dump-directory.md` describes the files for readers in other languages.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! use minidump_handler::store::{Limits, Metadata, Store};
//! use std::io::Write;
//!
//! let store = Store::open(root, Limits::default())?;
//! let mut dump = store.begin("/usr/bin/program")?;
//! dump.write_all(b"MDMP and so on")?;
//! let kept = dump.commit(&Metadata { reason: "SIGSEGV at 0x0".into(), ..Metadata::now("/usr/bin/program") })?;
//! assert_eq!(std::fs::read(&kept.dump)?, b"MDMP and so on");
//! store.complete(&kept.id)?;
//! # Ok(())
//! # }
//! ```

mod beginning;
mod clock;
mod error;
mod files;
mod id;
mod layout;
mod limits;
mod metadata;
mod new_dump;
mod orphans;
mod os;
mod publish;
mod quota;
mod recent;
mod reserved;
mod room;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::StoreError;
pub use id::{Id, NotAnId};
pub use limits::Limits;
pub use metadata::{MAX_METADATA_BYTES, METADATA_VERSION, Metadata};
pub use new_dump::NewDump;
pub use recent::Damped;
pub use reserved::Reserved;

use files::{read_limited, regular_len, remove_regular};
use layout::{Layout, Place};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A folder of dumps, open for use. Clones, and other processes, may use the same folder.
#[derive(Debug, Clone)]
pub struct Store {
    layout: Layout,
    limits: Limits,
    durable: bool,
    is_tidied_elsewhere: bool,
}

/// A dump that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its name.
    pub id: Id,
    /// The file. It moves with [`Store::complete`] and may be removed at any time, by limits for example; who has it
    /// open can go on reading.
    pub dump: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// What is known of it. Where the metadata cannot be read, a soft error says why.
    pub metadata: Metadata,
}

/// What [`Store::prune`] has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Dumps that were over the limits and are gone.
    pub removed: Vec<Id>,
    /// Their bytes, metadata included.
    pub bytes: u64,
    /// Dumps of writers that died, now in `pending`.
    pub recovered: Vec<Id>,
    /// Other files that dead writers had left, now gone.
    pub litter: u64,
}

impl Pruned {
    fn count(&mut self, item: &quota::Item) {
        self.removed.push(item.id);
        self.bytes = self.bytes.saturating_add(item.bytes);
    }
}

impl Store {
    /// Opens the folder `root`, and makes it and what is missing in it, with mode 0700.
    ///
    /// # Errors
    /// [`StoreError::Make`] and [`StoreError::NotADirectory`].
    pub fn open(root: impl Into<PathBuf>, limits: Limits) -> Result<Self, StoreError> {
        let layout = Layout::new(root.into())?;
        layout.make()?;
        Ok(Self { layout, limits, durable: false, is_tidied_elsewhere: false })
    }

    /// Makes commits wait until the medium has the dump, its metadata and its name, so that it survives a loss of
    /// power. Without, it survives the death of any process.
    #[must_use]
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Leaves what dead writers left, and what is over the limits of the whole folder, to [`tidy_after`](Self::tidy_after):
    /// for those whose program waits until its dump is there, which takes longer the more the folder holds.
    #[must_use]
    pub fn tidied_elsewhere(mut self) -> Self {
        self.is_tidied_elsewhere = true;
        self
    }

    /// Does what [`prune`](Self::prune) does, but keeps the dump `id`, which has just been committed.
    ///
    /// # Errors
    /// As [`prune`](Self::prune).
    pub fn tidy_after(&self, id: &Id) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let swept = orphans::sweep(self, &mut pruned);
        let kept = self.keep_limits(clock::now_us(), Some(id), &mut pruned);
        swept.and(kept).map(|()| pruned)
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// The limits that this user of the folder keeps.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Begins a dump of a crash of `program`: an empty file of mode 0600 in `new`. Finishes or removes first what dead
    /// writers left, and where the disk is full gives up older dumps for the new one.
    ///
    /// `program` is the name under which crashes are counted, best the path of the executable. A dump that is begun
    /// counts, whether or not it is committed.
    ///
    /// # Errors
    /// [`StoreError::Damped`] when the program crashes too often; the crash is counted, and the next dump that is
    /// kept tells how many there were. [`StoreError::Make`] and [`StoreError::File`] when nothing can be written.
    pub fn begin(&self, program: &str) -> Result<NewDump, StoreError> {
        self.begin_at(program, clock::now_us())
    }

    /// As [`begin`](Self::begin) and [`NewDump::announce`] in one: of a crash of `metadata.program`, with what is known of it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_with(&self, metadata: &Metadata) -> Result<NewDump, StoreError> {
        self.begin_described(&metadata.program, clock::now_us(), metadata)
    }

    fn begin_at(&self, program: &str, now_us: u64) -> Result<NewDump, StoreError> {
        self.begin_described(program, now_us, &Metadata { when_us: now_us, ..Metadata::now(program) })
    }

    fn begin_described(&self, program: &str, now_us: u64, known: &Metadata) -> Result<NewDump, StoreError> {
        // Somebody may have cleared the folder.
        if !self.layout.is_there() {
            self.layout.make()?;
        }
        recent::admit(self, program, now_us)?;
        // Limits hold since the last commit; and what cannot be tidied up is no reason to lose a dump.
        if !self.is_tidied_elsewhere {
            let _ = orphans::sweep(self, &mut Pruned::default());
        }
        NewDump::create(self, program, now_us, known)
    }

    /// The dumps that nobody has taken yet, oldest first.
    ///
    /// # Errors
    /// [`StoreError::File`] when the folder cannot be listed.
    pub fn pending(&self) -> Result<Vec<Stored>, StoreError> {
        self.list(Place::Pending)
    }

    /// The dumps that somebody has taken, oldest first.
    ///
    /// # Errors
    /// [`StoreError::File`] when the folder cannot be listed.
    pub fn completed(&self) -> Result<Vec<Stored>, StoreError> {
        self.list(Place::Completed)
    }

    /// The programs some of whose crashes have got no dump since the last that did, by name.
    ///
    /// # Errors
    /// [`StoreError::File`] when the folder cannot be listed.
    pub fn damped(&self) -> Result<Vec<Damped>, StoreError> {
        recent::damped(self)
    }

    /// Moves a dump from `pending` to `completed`, after an upload for example. One that is there already is fine.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::File`] when it cannot be moved.
    pub fn complete(&self, id: &Id) -> Result<Stored, StoreError> {
        let [from, to] = [Place::Pending, Place::Completed].map(|place| self.layout.dump(place, id));
        let [old, new] = [Place::Pending, Place::Completed].map(|place| self.layout.metadata(place, id));
        if regular_len(&from).is_some() {
            self.copy_metadata(&old, &new, id)?;
            match os::rename(&from, &to, self.durable) {
                Ok(()) => self.sync(Place::Completed)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::file("move", &from)(error)),
            }
            // What stays is removed by the next prune.
            let _ = remove_regular(&old);
        }
        self.stored(Place::Completed, id).ok_or(StoreError::NotFound { id: *id })
    }

    /// Lets both directories have the metadata for the instant in which the dump moves.
    fn copy_metadata(&self, old: &Path, new: &Path, id: &Id) -> Result<(), StoreError> {
        if regular_len(old).is_none() || fs::hard_link(old, new).is_ok() {
            return Ok(());
        }
        // There are no links here, or the new name is taken: by somebody who does the same, or by one who died.
        match read_limited(old, MAX_METADATA_BYTES) {
            Ok(bytes) => self
                .with_room(Some(id), &mut 0, || self.put(new, &bytes))
                .map_err(StoreError::file("write", new)),
            // Gone, so it was the first; or of no use to anybody.
            Err(_) => Ok(()),
        }
    }

    /// Removes a dump from `pending` or `completed`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], and [`StoreError::File`] when it cannot be removed.
    pub fn remove(&self, id: &Id) -> Result<(), StoreError> {
        // It may move from the first to the second meanwhile, but not back.
        let found = self.delete(Place::Pending, id)? | self.delete(Place::Completed, id)?;
        if found { Ok(()) } else { Err(StoreError::NotFound { id: *id }) }
    }

    /// Tidies up: finishes or removes what dead writers left, then removes what is over the limits, completed dumps
    /// before pending ones and older before younger.
    ///
    /// # Errors
    /// The first thing that could not be listed or removed; the rest has been tried.
    pub fn prune(&self) -> Result<Pruned, StoreError> {
        self.prune_at(clock::now_us())
    }

    fn prune_at(&self, now_us: u64) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let swept = orphans::sweep(self, &mut pruned);
        let kept = self.keep_limits(now_us, None, &mut pruned);
        swept.and(kept).map(|()| pruned)
    }

    /// Removes what is over the limits, except the dump `fresh`.
    fn keep_limits(&self, now_us: u64, fresh: Option<&Id>, pruned: &mut Pruned) -> Result<(), StoreError> {
        let kept = quota::enforce(self, now_us, fresh, pruned);
        kept.and(recent::forget(self, SystemTime::now()))
    }

    /// Removes a dump and then its metadata. Whether there was one.
    fn delete(&self, place: Place, id: &Id) -> Result<bool, StoreError> {
        let (dump, metadata) = (self.layout.dump(place, id), self.layout.metadata(place, id));
        let found = remove_regular(&dump).map_err(StoreError::file("remove", &dump))?;
        remove_regular(&metadata).map_err(StoreError::file("remove", &metadata))?;
        Ok(found)
    }

    fn list(&self, place: Place) -> Result<Vec<Stored>, StoreError> {
        let mut ids = self.layout.list(place)?.dumps;
        ids.sort();
        Ok(ids.iter().filter_map(|id| self.stored(place, id)).collect())
    }

    /// The dump, if it is there after its metadata have been looked for: where a dump is, its metadata are.
    fn stored(&self, place: Place, id: &Id) -> Option<Stored> {
        let metadata = self.metadata(place, id);
        let dump = self.layout.dump(place, id);
        let bytes = regular_len(&dump)?;
        Some(Stored { id: *id, dump, bytes, metadata })
    }

    fn metadata(&self, place: Place, id: &Id) -> Metadata {
        let read = read_limited(&self.layout.metadata(place, id), MAX_METADATA_BYTES);
        let decoded = read.and_then(|bytes| Metadata::decode(&bytes).map_err(io::Error::from));
        decoded.unwrap_or_else(|error| Metadata::unknown(id, &error.to_string()))
    }
}
