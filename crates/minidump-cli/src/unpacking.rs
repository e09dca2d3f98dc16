//! zstd (RFC 8878) on the way in.

use crate::spool::{Budget, Spool};
use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};

/// First bytes of a compressed file (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Most that is unpacked to disk on the way to reading a dump, and most of a small file that is one: a file of a few
/// kilobytes can claim to hold terabytes. Dumps of real programs compress to a tenth, not to a hundredth; zeros, of
/// which those of large programs may be full, take no space on disk.
const LARGEST_STORED: u64 = 4 << 30;
const LARGEST_RATIO: u64 = 100;
const LARGEST_WITH_ZEROS: u64 = 1 << 40;

/// An input whose first bytes were looked at and put back.
pub type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// What is in a file or pipe, unpacked if it is compressed. Takes a fixed amount of memory: a window of at most
/// 128 MiB, which is zstd's own limit and is needed only by files made with `--ultra` or `--long`.
pub enum Unpacker<R: Read> {
    /// As it comes.
    Plain(Peeked<R>),
    /// Compressed.
    Zstd(Box<zstd::Decoder<'static, BufReader<Peeked<R>>>>),
}

impl<R: Read> Unpacker<R> {
    /// Looks at the first bytes of `input`, and waits for them.
    ///
    /// # Errors
    /// Those of the input.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(MAGIC.len());
        input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start)?;
        let is_packed = start == MAGIC;
        let whole = Cursor::new(start).chain(input);
        Ok(if is_packed { Self::Zstd(Box::new(zstd::Decoder::new(whole)?)) } else { Self::Plain(whole) })
    }

    /// Whether it is compressed.
    pub fn is_packed(&self) -> bool {
        matches!(self, Self::Zstd(_))
    }
}

impl<R: Read> Read for Unpacker<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Zstd(input) => input.read(buffer),
        }
    }
}

/// Why a compressed file cannot be unpacked. The texts complete a sentence that begins with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It may be a bomb.
    #[error("is small and unpacks to a suspicious lot; if you trust it, unpack it first with zstd -d")]
    TooLarge,
    /// It is no whole zstd file.
    #[error("is compressed and damaged: {0}; copy or take it again")]
    Damaged(io::Error),
    /// There is no place to unpack to.
    #[error("cannot be unpacked to a temporary file: {0}; free some space or set TMPDIR")]
    Spool(io::Error),
}

/// `file` itself, or when it is compressed, what it unpacks to, in a file without a name; then with its size.
///
/// # Errors
/// [`UnpackError`]; a failure to read the file counts as damage.
pub fn unpacked(file: File) -> Result<(File, Option<u64>), UnpackError> {
    let size = file.metadata().map_or(0, |found| found.len());
    unpacked_within(file, budget(size))
}

/// How much a compressed file of this size may unpack to.
pub fn budget(size: u64) -> Budget {
    let stored = size.saturating_mul(LARGEST_RATIO).max(LARGEST_STORED);
    Budget { size: LARGEST_WITH_ZEROS, stored }
}

fn unpacked_within(file: File, budget: Budget) -> Result<(File, Option<u64>), UnpackError> {
    let copy = file.try_clone().map_err(UnpackError::Damaged)?;
    let input = Unpacker::new(file).map_err(UnpackError::Damaged)?;
    if !input.is_packed() {
        io::Seek::rewind(&mut &copy).map_err(UnpackError::Damaged)?;
        return Ok((copy, None));
    }
    let mut spool = Spool::create().map_err(UnpackError::Spool)?;
    match spool.fill(&mut Marked(input), &budget) {
        Ok(false) => Err(UnpackError::TooLarge),
        Ok(true) => {
            let size = spool.size();
            Ok((spool.finish().map_err(UnpackError::Spool)?, Some(size)))
        }
        Err(error) => Err(match error.downcast::<BadInput>() {
            Ok(BadInput(error)) => UnpackError::Damaged(error),
            Err(error) => UnpackError::Spool(error),
        }),
    }
}

/// An input whose errors can be told from those of the destination.
struct Marked<R>(R);

/// An error of the compressed file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadInput(io::Error);

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::other(BadInput(error)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek as _, Write as _};

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn contents(mut file: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_compressed_file_is_unpacked_and_another_left_alone() {
        let original: Vec<u8> = (0..1_000_000u32).flat_map(|index| (index / 7).to_le_bytes()).collect();
        let (unpacked_file, size) = unpacked(file(&pack(&original))).unwrap();
        assert_eq!(size, Some(original.len() as u64));
        assert!(contents(unpacked_file) == original);
        for bytes in [&b""[..], b"MD", b"MDMP and more", &MAGIC[..3]] {
            let (same, size) = unpacked(file(bytes)).unwrap();
            assert_eq!((contents(same).as_slice(), size), (bytes, None));
        }
    }

    #[test]
    fn a_pipe_is_unpacked_on_the_way() {
        for (bytes, is_packed) in [(b"plain".to_vec(), false), (pack(b"plain"), true)] {
            let (reads, mut writes) = io::pipe().unwrap();
            // The first bytes come one by one, as a pipe may deliver them.
            for byte in &bytes {
                writes.write_all(&[*byte]).unwrap();
            }
            drop(writes);
            let unpacker = Unpacker::new(reads).unwrap();
            assert_eq!(unpacker.is_packed(), is_packed);
            assert_eq!(contents(unpacker), b"plain");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let within = |bytes: &[u8], size, stored| {
            unpacked_within(file(&pack(bytes)), Budget { size, stored }).map(|(_, size)| size)
        };
        let (zeros, ones) = (vec![0; 64 << 20], vec![1; 64 << 20]);
        assert!(matches!(within(&zeros, (64 << 20) - 1, u64::MAX), Err(UnpackError::TooLarge)));
        assert_eq!(within(&zeros, 64 << 20, 0).unwrap(), Some(64 << 20));
        assert!(matches!(within(&ones, u64::MAX, (64 << 20) - 1), Err(UnpackError::TooLarge)));
        assert_eq!(within(&ones, u64::MAX, 64 << 20).unwrap(), Some(64 << 20));
    }

    #[test]
    fn damage_is_told() {
        let original: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let packed = pack(&original);
        let mut flipped = packed.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        let trailing = [packed.as_slice(), b"trailing"].concat();
        for bytes in [&packed[..packed.len() - 1], &packed[..4], &packed[..middle], &flipped, &trailing] {
            let error = unpacked(file(bytes)).unwrap_err();
            assert!(matches!(error, UnpackError::Damaged(_)), "{error}");
        }
    }

    #[test]
    fn files_packed_in_parts_are_read_whole() {
        let parts = [pack(b"one "), pack(b"two")].concat();
        let (file, size) = unpacked(file(&parts)).unwrap();
        assert_eq!((contents(file).as_slice(), size), (&b"one two"[..], Some(7)));
    }
}
