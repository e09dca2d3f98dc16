//! Where things are in a dump directory, and which of the files there are ours.

use super::{Id, StoreError, os};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many entries of a directory are looked at, whatever they are.
const MOST_ENTRIES: usize = 1 << 20;

/// The three stations of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// Being written.
    New,
    /// Whole, and waiting for somebody to take it.
    Pending,
    /// Taken: uploaded, or seen.
    Completed,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Pending => "pending",
            Self::Completed => "completed",
        }
    }
}

/// The names in one of the directories that are ours, in no order.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// `ID.dmp`
    pub dumps: Vec<Id>,
    /// `ID.json`
    pub metadata: Vec<Id>,
    /// `ID.tmp`
    pub temporary: Vec<Id>,
}

/// The paths of a dump directory.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`, made absolute so that a change of the working directory does not matter.
    pub(super) fn new(root: PathBuf) -> Result<Self, StoreError> {
        match std::path::absolute(&root) {
            Ok(root) => Ok(Self { root }),
            Err(source) => Err(StoreError::Make { path: root, source }),
        }
    }

    /// Makes the directories that are missing.
    pub(super) fn make(&self) -> Result<(), StoreError> {
        let failed = |path: &Path, source| StoreError::Make { path: path.to_path_buf(), source };
        if let Some(parent) = self.root.parent() {
            fs::create_dir_all(parent).map_err(|source| failed(parent, source))?;
        }
        let parts = [Place::New, Place::Pending, Place::Completed].map(|place| self.directory(place));
        for path in [self.root.clone()].into_iter().chain(parts).chain([self.recent()]) {
            match os::create_private_directory(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(failed(&path, error));
                }
                _ => {}
            }
            // Whoever makes a dump directory may do so through a link; what is in it is ours.
            let found = if path == self.root { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
            match found {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(StoreError::NotADirectory { path }),
                Err(error) => return Err(failed(&path, error)),
            }
        }
        Ok(())
    }

    /// Whether all of the directories are there.
    pub(super) fn is_there(&self) -> bool {
        let parts = [Place::New, Place::Pending, Place::Completed].map(|place| self.directory(place));
        let mut found = parts.into_iter().chain([self.recent()]).map(fs::symlink_metadata);
        found.all(|found| found.is_ok_and(|found| found.is_dir()))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn directory(&self, place: Place) -> PathBuf {
        self.root.join(place.name())
    }

    /// Where it is kept count of how often programs crashed.
    pub(super) fn recent(&self) -> PathBuf {
        self.root.join("recent")
    }

    pub(super) fn dump(&self, place: Place, id: &Id) -> PathBuf {
        self.directory(place).join(format!("{id}.dmp"))
    }

    pub(super) fn metadata(&self, place: Place, id: &Id) -> PathBuf {
        self.directory(place).join(format!("{id}.json"))
    }

    pub(super) fn temporary(&self, id: &Id) -> PathBuf {
        self.directory(Place::New).join(format!("{id}.tmp"))
    }

    /// The files of one directory whose names are ours. What they are has not been looked at.
    pub(super) fn list(&self, place: Place) -> Result<Listing, StoreError> {
        let path = self.directory(place);
        let entries = fs::read_dir(&path).map_err(StoreError::file("list", &path))?;
        let mut listing = Listing::default();
        for entry in entries.take(MOST_ENTRIES) {
            let name = entry.map_err(StoreError::file("list", &path))?.file_name();
            let Some((stem, kind)) = name.to_str().and_then(|name| name.rsplit_once('.')) else { continue };
            let Ok(id) = stem.parse() else { continue };
            match kind {
                "dmp" => listing.dumps.push(id),
                "json" => listing.metadata.push(id),
                "tmp" => listing.temporary.push(id),
                _ => {}
            }
        }
        Ok(listing)
    }
}
