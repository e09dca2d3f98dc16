//! Files without a name, for what has to wait on disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How many temporary names are tried where the system knows no files without one.
const NAME_ATTEMPTS: u32 = 64;

/// Blocks of zeros of this size become holes in the file, which take no space.
const BLOCK: usize = 64 << 10;

/// A file that nobody else can find and that is gone when this is. Blocks of zeros take no space in it.
#[derive(Debug)]
pub struct Spool {
    file: File,
    size: u64,
}

impl Spool {
    /// An empty file in `directory`.
    pub fn create_in(directory: &Path) -> io::Result<Self> {
        nameless(directory).map(|file| Self { file, size: 0 })
    }

    /// An empty file in the place for large temporary files: `TMPDIR`, else /var/tmp, which unlike /tmp is on a disk
    /// (file-hierarchy(7)), else what the system offers.
    pub fn create() -> io::Result<Self> {
        Self::create_in(&place())
    }

    /// Bytes written.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The complete file, to be read from its start.
    pub fn finish(mut self) -> io::Result<File> {
        // A hole at the end is only there once the file has its size.
        self.file.set_len(self.size)?;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(self.file)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..BLOCK).unwrap_or(bytes);
        let done = if piece.len() == BLOCK && piece.iter().all(|byte| *byte == 0) {
            self.file.seek(SeekFrom::Current(i64::try_from(BLOCK).unwrap_or(0)))?;
            piece.len()
        } else {
            self.file.write(piece)?
        };
        self.size = self.size.saturating_add(done as u64);
        Ok(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Copies all of `input` to a spool, but no more than `limit` bytes. `None` when there are more.
pub fn copy_bounded(input: &mut dyn Read, spool: &mut Spool, limit: u64) -> io::Result<Option<u64>> {
    let copied = io::copy(&mut input.take(limit.saturating_add(1)), spool)?;
    Ok((copied <= limit).then_some(copied))
}

fn place() -> PathBuf {
    let named = std::env::var_os("TMPDIR").filter(|name| !name.is_empty()).map(PathBuf::from);
    let large = || Some(PathBuf::from("/var/tmp")).filter(|path| path.is_dir());
    named.or_else(large).unwrap_or_else(std::env::temp_dir)
}

fn nameless(directory: &Path) -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
        // Some file systems know no such files; what else is wrong shows again below.
        if let Ok(file) = options.open(directory) {
            return Ok(file);
        }
    }
    unlinked(directory)
}

/// A file whose name was taken away at once.
fn unlinked(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for attempt in 0..NAME_ATTEMPTS {
        let path = directory.join(format!(".minidump-{}-{attempt}.spool", std::process::id()));
        match options.open(&path) {
            Ok(file) => {
                std::fs::remove_file(&path)?;
                return Ok(file);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(mut file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_comes_back_and_no_name_shows() {
        let place = tempfile::tempdir().unwrap();
        let expected = [vec![7; 100_000], vec![0; 300_000], vec![9], vec![0; 200_000]].concat();
        for file in [nameless(place.path()).unwrap(), unlinked(place.path()).unwrap()] {
            let mut spool = Spool { file, size: 0 };
            spool.write_all(&expected).unwrap();
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
            assert_eq!(spool.size(), expected.len() as u64);
            assert_eq!(contents(spool.finish().unwrap()), expected);
        }
    }

    #[test]
    fn a_copy_stops_at_its_limit() {
        let copy = |limit| {
            let mut spool = Spool::create().unwrap();
            (copy_bounded(&mut [1; 10].as_slice(), &mut spool, limit).unwrap(), spool.size())
        };
        assert_eq!(copy(10), (Some(10), 10));
        assert_eq!(copy(9), (None, 10));
        assert_eq!(copy(0), (None, 1));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert_eq!(
            Spool::create_in(Path::new("/nowhere/at/all")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
