//! Files without a name, for what has to wait on disk.

use std::fs::File;
#[cfg(unix)]
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How many temporary names are tried where the system knows no files without one.
#[cfg(unix)]
const NAME_ATTEMPTS: u32 = 64;

/// Memory is looked at in blocks of this size; those of zeros become holes in the file, which take no space.
const BLOCK: usize = 64 << 10;

/// Zeros are looked for in pieces of this size.
const PIECE: usize = 4 << 10;
/// What such a piece is compared with. A whole block of them would be a part of the program's file.
static ZEROS: [u8; PIECE] = [0; PIECE];

/// A file that nobody else can find and that is gone when this is. Blocks of zeros take no space in it.
#[derive(Debug)]
pub struct Spool {
    file: File,
    size: u64,
    stored: u64,
    /// A bit for each block, set when something was stored in it: 2 MiB for a file of 1 TiB.
    used: Vec<u64>,
}

/// Most that a [`Spool`] takes, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Of all.
    pub size: u64,
    /// Of what takes space: blocks of zeros take none.
    pub stored: u64,
}

impl Spool {
    /// An empty file in `directory`.
    pub fn create_in(directory: &Path) -> io::Result<Self> {
        nameless(directory).map(Self::on)
    }

    fn on(file: File) -> Self {
        Self { file, size: 0, stored: 0, used: Vec::new() }
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

    /// Takes all of `input`. Returns whether that kept within `budget`; otherwise it stops early.
    ///
    /// # Errors
    /// Those of `input` and of the file.
    pub fn fill(&mut self, input: &mut dyn Read, budget: &Budget) -> io::Result<bool> {
        let mut block = vec![0; BLOCK];
        loop {
            // A reader may give less at a time than makes a hole.
            let count = read_full(input, &mut block)?;
            self.write_all(block.get(..count).unwrap_or_default())?;
            if self.size > budget.size || self.stored > budget.stored {
                return Ok(false);
            }
            if count < block.len() {
                return Ok(true);
            }
        }
    }

    /// Writes everything to `output`. Blocks of zeros are not read for that: the system would take memory for each.
    ///
    /// # Errors
    /// Those of the file and of `output`.
    pub fn hand_over(mut self, output: &mut dyn Write) -> io::Result<()> {
        self.file.set_len(self.size)?;
        let mut block = vec![0; BLOCK];
        let (mut index, mut left) = (0u64, self.size);
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            if let Some(part) = block.get_mut(..length).filter(|_| self.is_used(index)) {
                self.file.seek(SeekFrom::Start(index.saturating_mul(BLOCK as u64)))?;
                self.file.read_exact(part)?;
                output.write_all(part)?;
            } else {
                write_zeros(output, length)?;
            }
            left = left.saturating_sub(length as u64);
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn is_used(&self, block: u64) -> bool {
        let word = usize::try_from(block / 64).ok().and_then(|index| self.used.get(index));
        word.is_some_and(|word| word & 1 << (block % 64) != 0)
    }

    fn set_used(&mut self, block: u64) -> io::Result<()> {
        let index = usize::try_from(block / 64).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if self.used.len() <= index {
            self.used.resize(index + 1, 0);
        }
        if let Some(word) = self.used.get_mut(index) {
            *word |= 1 << (block % 64);
        }
        Ok(())
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
        // No piece reaches over the end of a block.
        let block = self.size / BLOCK as u64;
        let room = BLOCK - usize::try_from(self.size % BLOCK as u64).unwrap_or(0);
        let piece = bytes.get(..room).unwrap_or(bytes);
        let done = if is_zero(piece) {
            self.file.seek(SeekFrom::Current(i64::try_from(piece.len()).unwrap_or(0)))?;
            piece.len()
        } else {
            let done = self.file.write(piece)?;
            self.set_used(block)?;
            self.stored = self.stored.saturating_add(done as u64);
            done
        };
        self.size = self.size.saturating_add(done as u64);
        Ok(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether there are only zeros. Compares by the C library: this may run while a process stands still.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(PIECE).all(|piece| ZEROS.get(..piece.len()) == Some(piece))
}

fn write_zeros(output: &mut dyn Write, length: usize) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let piece = left.min(PIECE);
        output.write_all(ZEROS.get(..piece).unwrap_or_default())?;
        left -= piece;
    }
    Ok(())
}

/// Fills `buffer` as far as `input` goes.
fn read_full(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => count = count.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
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
#[cfg(unix)]
fn unlinked(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
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

/// A file that goes when it is closed. Where files that are open keep their names, this takes a flag of the system.
#[cfg(not(unix))]
fn unlinked(directory: &Path) -> io::Result<File> {
    tempfile::tempfile_in(directory)
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
            let mut spool = Spool::on(file);
            spool.write_all(&expected).unwrap();
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
            assert_eq!(spool.size(), expected.len() as u64);
            assert_eq!(contents(spool.finish().unwrap()), expected);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn zeros_take_no_space() {
        use std::os::unix::fs::MetadataExt as _;
        let mut spool = Spool::create().unwrap();
        let budget = Budget { size: u64::MAX, stored: 0 };
        assert!(spool.fill(&mut io::repeat(0).take(64 << 20), &budget).unwrap());
        let file = spool.finish().unwrap();
        let found = file.metadata().unwrap();
        assert_eq!(found.len(), 64 << 20);
        assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
    }

    #[test]
    fn what_is_handed_over_is_what_was_written_however_it_was_written() {
        let expected =
            [vec![7; 100_000], vec![0; 300_000], vec![9], vec![0; 200_000], vec![1; 65_536], vec![0; 7]]
                .concat();
        for step in [1000, 4096, 65_536, 65_537, 1 << 20] {
            let mut spool = Spool::create().unwrap();
            expected.chunks(step).for_each(|part| spool.write_all(part).unwrap());
            let mut found = Vec::new();
            spool.hand_over(&mut found).unwrap();
            assert!(found == expected, "in steps of {step}");
        }
    }

    #[test]
    fn filling_stops_at_the_budget() {
        let fill = |size, stored| {
            let mut spool = Spool::create().unwrap();
            spool.fill(&mut [[1; 10], [0; 10]].concat().as_slice(), &Budget { size, stored }).unwrap()
        };
        assert!(fill(20, 20));
        assert!(!fill(19, 20));
        assert!(!fill(20, 19));
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert_eq!(
            Spool::create_in(Path::new("/nowhere/at/all")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
