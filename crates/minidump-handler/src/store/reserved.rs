//! Room for a dump that a process will perhaps have to write itself, as it crashes.

use super::layout::Place;
use super::publish::Locked;
use super::{Metadata, Store, StoreError, clock, os};
use std::fs::File;
use std::path::PathBuf;

/// Empty files for a dump and its metadata in `new`, open and locked, and the directories that they will move between. A
/// signal handler can fill and move them with system calls alone; what it does not finish, the next sweep does.
///
/// Unlike a dump that is begun, it is not counted as a crash. Its files are removed when it is dropped; when its process
/// ends otherwise, the next sweep removes what is empty.
#[derive(Debug)]
pub struct Reserved {
    /// The name of the dump's file, without its directory: `ID.dmp`.
    pub dump_name: String,
    /// The dump's file, without `O_APPEND`, its lock held.
    pub dump: File,
    /// The name of the metadata's file: `ID.json`.
    pub metadata_name: String,
    /// The metadata's file. It holds what was known when it was made.
    pub metadata: File,
    /// The directory `new`, in which both are.
    pub new: File,
    /// The directory `pending`, into which they are to be moved: the metadata first.
    pub pending: File,
    paths: [PathBuf; 2],
    /// Where they are to be moved.
    targets: [PathBuf; 2],
}

impl Store {
    /// Reserves room for a dump with what is known of it so far.
    ///
    /// # Errors
    /// [`StoreError::Make`] and [`StoreError::File`] when the files cannot be made or the directories not be opened.
    pub fn reserve(&self, metadata: &Metadata) -> Result<Reserved, StoreError> {
        self.layout.make()?;
        let folder = self.layout.directory(Place::New);
        let made =
            Self::create_locked(clock::now_us(), |id| self.layout.dump(Place::New, id), os::create_private);
        let Locked { id, path, file } = made.map_err(StoreError::file("make a file in", &folder))?;
        let known = Metadata { partial: true, ..metadata.clone() };
        self.describe(&id, &known)?;
        let metadata_path = self.layout.metadata(Place::New, &id);
        let open = |path: &PathBuf| os::open_directory(path).map_err(StoreError::file("open", path));
        let (pending, new) = (open(&self.layout.directory(Place::Pending))?, open(&folder)?);
        let metadata = os::careful()
            .read(true)
            .write(true)
            .open(&metadata_path)
            .map_err(StoreError::file("open", &metadata_path))?;
        Ok(Reserved {
            dump_name: format!("{id}.dmp"),
            dump: file,
            metadata_name: format!("{id}.json"),
            metadata,
            new,
            pending,
            paths: [path, metadata_path],
            targets: [self.layout.dump(Place::Pending, &id), self.layout.metadata(Place::Pending, &id)],
        })
    }
}

impl Reserved {
    /// The paths of the files and where they are to be moved, for systems where that takes paths: the metadata first.
    #[must_use]
    pub fn moves(&self) -> [(PathBuf, PathBuf); 2] {
        let ([dump, metadata], [to_dump, to_metadata]) = (self.paths.clone(), self.targets.clone());
        [(metadata, to_metadata), (dump, to_dump)]
    }

    /// Removes the files.
    pub fn discard(&self) {
        for path in &self.paths {
            // What cannot be removed now, the next sweep finds.
            let _ = super::files::remove_regular(path);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Pruned};
    use super::*;
    use std::fs;
    use std::io::Write as _;

    #[test]
    fn what_was_reserved_leaves_nothing_and_counts_as_no_crash() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Limits { per_program: 1, ..Limits::default() }).unwrap();
        let files = || fs::read_dir(folder.path().join("new")).unwrap().count();
        let reserved = store.reserve(&Metadata::now("program")).unwrap();
        assert_eq!(files(), 2);
        assert_eq!(store.prune().unwrap(), Pruned::default(), "it is in use");
        drop(reserved);
        assert_eq!(files(), 0);
        assert!(store.begin("program").is_ok());
    }

    #[test]
    fn a_dump_that_its_process_did_not_move_is_found_with_what_was_known() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Limits::default()).unwrap();
        let mut reserved = store.reserve(&Metadata::now("program")).unwrap();
        let mut dump = b"MDMP\x93\xa7\0\0\x01\0\0\0\x20\0\0\0".to_vec();
        dump.resize(64, 0);
        reserved.dump.write_all(&dump).unwrap();
        // As the kernel does when the process ends: the lock goes, the files stay.
        let descriptor = reserved.dump.try_clone().unwrap();
        os::unlock(&descriptor);
        assert_eq!(store.prune().unwrap().recovered.len(), 1);
        let pending = store.pending().unwrap();
        assert_eq!((pending[0].metadata.program.as_str(), pending[0].metadata.partial), ("program", true));
        assert_eq!(fs::read(&pending[0].dump).unwrap(), dump);
        drop(reserved);
        assert_eq!(store.pending().unwrap().len(), 1, "only the names in `new` are removed");
    }
}
