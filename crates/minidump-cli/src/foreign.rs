//! A dump to read, from a file or the standard input, unpacked if it is compressed.

use crate::converter::Input;
use crate::destination::is_dash;
use crate::exit::Failure;
use crate::spool::{Budget, Spool};
use crate::unpacking::{self, Unpacker};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Seek as _};
use std::path::{Path, PathBuf};

/// First bytes of a minidump.
const MINIDUMP: [u8; 4] = *b"MDMP";

/// An open dump.
pub struct Foreign {
    name: PathBuf,
    file: File,
    start: [u8; 4],
}

impl Foreign {
    /// Opens `path`; `-` is the standard input. What can be read only once or is compressed is copied into a temporary
    /// file first, because dumps point ahead.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let named = |error: String| Failure::Failed(format!("{} {error}", shown(path)));
        if is_dash(path) {
            if io::stdin().is_terminal() {
                let sentence = "the standard input is a terminal; give a file, or pipe a dump in";
                return Err(Failure::Failed(sentence.into()));
            }
            return Self::copy(path, io::stdin().lock());
        }
        let failed = |error: io::Error| {
            Failure::Failed(format!(
                "cannot open {}: {error}; check the name and the permissions",
                path.display()
            ))
        };
        let file = File::open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        if found.is_dir() {
            return Err(named("is a directory; give a dump".into()));
        }
        if !found.is_file() {
            return Self::copy(path, file);
        }
        let (file, _) = unpacking::unpacked(file).map_err(|error| named(error.to_string()))?;
        Self::examine(path, file)
    }

    fn copy(path: &Path, input: impl Read) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::Failed(format!(
                "{} cannot be copied to a temporary file: {error}; free some space or set TMPDIR",
                shown(path)
            ))
        };
        let mut input = Unpacker::new(input).map_err(failed)?;
        // A pipe does not tell its size, from which the budget of a compressed file is derived.
        let budget = if input.is_packed() {
            unpacking::budget(u64::MAX)
        } else {
            Budget { size: u64::MAX, stored: u64::MAX }
        };
        let mut spool = Spool::create().map_err(failed)?;
        if !spool.fill(&mut input, &budget).map_err(failed)? {
            let sentence = "unpacks to a suspicious lot; if you trust it, unpack it first with zstd -d";
            return Err(Failure::Failed(format!("{} {sentence}", shown(path))));
        }
        Self::examine(path, spool.finish().map_err(failed)?)
    }

    fn examine(name: &Path, mut file: File) -> Result<Self, Failure> {
        let mut start = Vec::with_capacity(4);
        let read = (&file).take(4).read_to_end(&mut start).and_then(|_| file.rewind());
        read.map_err(|error| {
            Failure::Failed(format!("{} cannot be read: {error}; copy it first", shown(name)))
        })?;
        if start.is_empty() {
            let sentence = "is empty; the dump was never written, take it again";
            return Err(Failure::Failed(format!("{} {sentence}", shown(name))));
        }
        let start = start.try_into().unwrap_or_default();
        Ok(Self { name: name.to_path_buf(), file, start })
    }

    /// Its name for sentences.
    pub fn name(&self) -> String {
        shown(&self.name).into_owned()
    }

    /// Whether it begins as a minidump.
    pub fn is_minidump(&self) -> bool {
        self.start == MINIDUMP
    }

    /// As the library wants it.
    pub fn for_library(&self) -> Input<'_> {
        Input::Opened(&self.file)
    }
}

fn shown(path: &Path) -> Cow<'_, str> {
    if is_dash(path) { "the standard input".into() } else { path.to_string_lossy() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<Foreign, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Foreign::open(file.path()).map_err(|failure| match failure {
            Failure::Failed(sentence) => sentence,
            other => panic!("{other:?}"),
        })
    }

    fn contents(foreign: &Foreign) -> Vec<u8> {
        let Input::Opened(mut file) = foreign.for_library() else { panic!("it is a file") };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_kind_of_a_dump_is_known_by_its_first_bytes() {
        let kind = |bytes: &[u8]| open(bytes).map(|found| found.is_minidump());
        assert_eq!(kind(b"MDMP and more"), Ok(true));
        assert_eq!(kind(b"\x7fELF and more"), Ok(false));
        assert_eq!(kind(&zstd::encode_all(&b"MDMP packed"[..], 3).unwrap()), Ok(true));
        assert_eq!(kind(b"MDM"), Ok(false));
        assert!(kind(b"").unwrap_err().contains("is empty"));
        assert!(kind(&zstd::encode_all(&b""[..], 3).unwrap()).unwrap_err().contains("is empty"));
    }

    #[test]
    fn what_was_unpacked_is_read_whole() {
        let original = b"\x7fELF".repeat(100_000);
        let found = open(&zstd::encode_all(original.as_slice(), 3).unwrap()).unwrap();
        assert!(contents(&found) == original);
    }

    #[test]
    fn a_pipe_is_copied_and_unpacked() {
        for packed in [false, true] {
            let bytes = if packed { zstd::encode_all(&b"MDMP"[..], 3).unwrap() } else { b"MDMP".to_vec() };
            let found = Foreign::copy(Path::new("-"), bytes.as_slice()).unwrap();
            assert!(found.is_minidump());
            assert_eq!(contents(&found), b"MDMP");
            assert_eq!(found.name(), "the standard input");
        }
    }

    #[test]
    fn directories_and_missing_files_are_refused() {
        for (path, part) in [("/", "is a directory"), ("/nowhere/at/all", "cannot open /nowhere/at/all")] {
            let Err(Failure::Failed(sentence)) = Foreign::open(Path::new(path)) else { panic!("{path}") };
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
