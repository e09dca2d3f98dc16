//! What was set before `--install`, and whom cores are handed on to: a file beside the dumps, or beside the socket.

use super::kernel_log;
use minidump_writer::output::DumpFile;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const NAME: &str = ".core-handler.json";
/// So much of the file is read, in bytes.
const LARGEST: u64 = 64 << 10;
/// Write permission of the group and of others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// `S_ISVTX`
const STICKY: u32 = 0o1000;

/// The file's contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// `kernel.core_pattern` as it was.
    pub core_pattern: String,
    /// `kernel.core_pipe_limit` as it was; `None` where the kernel has none.
    pub core_pipe_limit: Option<String>,
    /// `fs.suid_dumpable` as it was, if it was changed.
    #[serde(default)]
    pub suid_dumpable: Option<String>,
    /// Whom each core is handed on to, as a value of `kernel.core_pattern`.
    #[serde(default)]
    pub pass_to: Option<String>,
}

impl State {
    /// Reads it. The handler, which is root, starts the program that it names; so nobody else may be able to write it.
    ///
    /// # Errors
    /// Why it cannot be read or believed.
    pub fn load(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
        check_private(path.parent().unwrap_or(Path::new("/")))?;
        check_private(path)?;
        let file = fs::File::open(path).map_err(failed)?;
        let mut text = Vec::new();
        file.take(LARGEST).read_to_end(&mut text).map_err(failed)?;
        serde_json::from_slice(&text).map_err(|error| format!("{} is damaged: {error}", path.display()))
    }

    /// Whom cores are handed on to. Without a file, nobody; one that is not believed is told of.
    pub fn pass_to(path: &Path) -> Option<String> {
        if !path.exists() {
            return None;
        }
        Self::load(path).inspect_err(|error| kernel_log::tell(error)).ok()?.pass_to
    }

    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// What failed.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("{} cannot be written: {error}", path.display());
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(&error))?;
        let mut file = DumpFile::create(path).map_err(|error| failed(&error))?;
        file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
        file.commit().map_err(|error| failed(&error))
    }

    /// Removes the file.
    pub fn remove(path: &Path) {
        // If it cannot be removed, the next --install replaces it.
        let _ = fs::remove_file(path);
    }
}

/// The file that belongs to a directory of dumps.
pub fn file_in(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

/// Refuses what somebody else can write to.
///
/// # Errors
/// Why, with the way out.
pub fn check_private(path: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", path.display());
    let found = fs::symlink_metadata(path).map_err(failed)?;
    let own = fs::metadata("/proc/self").map_err(failed)?.uid();
    if found.is_symlink() || found.uid() != own || found.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(format!(
            "others can write to {0} or it is not root's own, and whoever can write there decides what root starts; \
             chown root {0} and chmod go-w {0}, or choose another",
            path.display()
        ));
    }
    Ok(())
}

/// Refuses a directory on the way to which somebody else could put another in its place.
///
/// # Errors
/// Why, with the way out.
pub fn check_way(directory: &Path) -> Result<(), String> {
    let is_open = |folder: &&Path| {
        let mode = fs::metadata(folder).map_or(0, |found| found.mode());
        mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0
    };
    match directory.ancestors().skip(1).find(is_open) {
        None => Ok(()),
        Some(folder) => Err(format!(
            "others can write to {} and so replace {}; choose another directory",
            folder.display(),
            directory.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_directory_that_others_could_replace_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let (open, inner) = (place.path().join("open"), place.path().join("open/inner"));
        fs::create_dir_all(&inner).unwrap();
        let set = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
        set(0o777);
        assert!(check_way(&inner).unwrap_err().contains("so replace"));
        set(0o1777);
        assert_eq!(check_way(&inner), Ok(()), "as in /tmp, only owners rename");
        set(0o755);
        assert_eq!(check_way(&inner), Ok(()));
    }

    fn state() -> State {
        State {
            core_pattern: "|/usr/lib/other %P  \"x\" ".into(),
            core_pipe_limit: Some("16".into()),
            suid_dumpable: Some("0".into()),
            pass_to: Some("/var/cores/%e".into()),
        }
    }

    #[test]
    fn what_was_saved_comes_back_exactly() {
        let place = tempfile::tempdir().unwrap();
        state().save(&file_in(place.path())).unwrap();
        assert_eq!(State::load(&file_in(place.path())), Ok(state()));
        let mode = fs::metadata(file_in(place.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        State::remove(&file_in(place.path()));
        assert!(State::load(&file_in(place.path())).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn what_others_can_write_is_not_believed() {
        let place = tempfile::tempdir().unwrap();
        state().save(&file_in(place.path())).unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for path in [place.path().to_path_buf(), file_in(place.path())] {
            set(&path, 0o722);
            assert!(
                State::load(&file_in(place.path())).unwrap_err().contains("others can write"),
                "{}",
                path.display()
            );
            set(&path, 0o700);
        }
        let real = place.path().join("real");
        fs::rename(file_in(place.path()), &real).unwrap();
        std::os::unix::fs::symlink(&real, file_in(place.path())).unwrap();
        assert!(State::load(&file_in(place.path())).is_err(), "nor a link");
    }

    #[test]
    fn a_damaged_file_is_told() {
        let place = tempfile::tempdir().unwrap();
        fs::write(file_in(place.path()), "{").unwrap();
        fs::set_permissions(file_in(place.path()), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(State::load(&file_in(place.path())).unwrap_err().contains("is damaged"));
    }
}
