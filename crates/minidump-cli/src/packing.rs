//! zstd (RFC 8878) on the way out and on the way in.

use crate::spool::{self, Spool};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write};
use zstd::stream::{raw, zio};

/// Bytes gathered before they are handed to the operating system.
const BUFFER_SIZE: usize = 256 << 10;

/// zstd's own default. It keeps up with a fast disk in 4 MiB of memory, and a dump, mostly zeros and pointers, gains
/// little from more.
const LEVEL: i32 = 3;

/// First bytes of a compressed file (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Most that is unpacked on the way to reading a dump: a file of a few kilobytes can claim to hold terabytes.
pub const LARGEST_UNPACKED: u64 = 4 << 30;

/// The destination of a dump, which is compressed on the way or not. Nothing reaches `W` after a failure: dropping
/// this discards what was gathered.
pub enum Packer<W: Write> {
    /// As it comes.
    Plain(Gather<W>),
    /// Compressed.
    Zstd(Box<zstd::Encoder<'static, Counter<W>>>),
}

impl<W: Write> Packer<W> {
    /// A way to `output`.
    pub fn new(output: W, compressed: bool) -> io::Result<Self> {
        let counter = Counter { inner: output, count: 0 };
        if !compressed {
            return Ok(Self::Plain(Gather(Some(BufWriter::with_capacity(BUFFER_SIZE, counter)))));
        }
        let operation = raw::Encoder::new(LEVEL)?;
        let writer = zio::Writer::new_with_capacity(counter, operation, BUFFER_SIZE);
        let mut encoder = zstd::Encoder::with_writer(writer);
        // So that a damaged file is told from a whole one.
        encoder.include_checksum(true)?;
        Ok(Self::Zstd(Box::new(encoder)))
    }

    /// Hands over what is left. Returns the number of bytes that reached the output.
    pub fn finish(self) -> io::Result<u64> {
        let mut counter = match self {
            Self::Plain(gather) => gather.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        counter.flush()?;
        Ok(counter.count)
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(gather) => gather.writer()?.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(gather) => gather.writer()?.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// A buffer that forgets its contents when it is dropped. That of the standard library would write them, after an
/// error too.
pub struct Gather<W: Write>(Option<BufWriter<Counter<W>>>);

impl<W: Write> Gather<W> {
    fn writer(&mut self) -> io::Result<&mut BufWriter<Counter<W>>> {
        self.0.as_mut().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<Counter<W>> {
        let mut writer = self.0.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let flushed = writer.flush();
        let (counter, _) = writer.into_parts();
        flushed.map(|()| counter)
    }
}

impl<W: Write> Drop for Gather<W> {
    fn drop(&mut self) {
        if let Some(writer) = self.0.take() {
            drop(writer.into_parts());
        }
    }
}

/// Counts what passes.
pub struct Counter<W> {
    inner: W,
    count: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.inner.write(bytes)?;
        self.count = self.count.saturating_add(done as u64);
        Ok(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Whether a file that begins with `bytes` is compressed.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Why a compressed file cannot be unpacked. The texts complete a sentence that begins with the file's name.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It may be a bomb.
    #[error(
        "unpacks to more than {} GiB; if you trust it, unpack it first with zstd -d",
        LARGEST_UNPACKED >> 30
    )]
    TooLarge,
    /// It is no whole zstd file.
    #[error("is compressed and damaged: {0}; copy or take it again")]
    Damaged(io::Error),
    /// There is no place to unpack to.
    #[error("is compressed and cannot be unpacked to a temporary file: {0}; free some space or set TMPDIR")]
    Spool(io::Error),
}

/// `file` itself, or when it is compressed, what it unpacks to, in a file without a name; then with its size.
///
/// # Errors
/// [`UnpackError`]; a failure to read the file counts as damage.
pub fn unpacked(file: File) -> Result<(File, Option<u64>), UnpackError> {
    unpacked_up_to(file, LARGEST_UNPACKED)
}

fn unpacked_up_to(mut file: File, limit: u64) -> Result<(File, Option<u64>), UnpackError> {
    let mut start = [0; MAGIC.len()];
    let found = read_start(&mut file, &mut start).map_err(UnpackError::Damaged)?;
    if !is_packed(start.get(..found).unwrap_or_default()) {
        return Ok((file, None));
    }
    let mut spool = Spool::create().map_err(UnpackError::Spool)?;
    let mut input = Unpacking(zstd::Decoder::new(file).map_err(UnpackError::Damaged)?);
    match spool::copy_bounded(&mut input, &mut spool, limit) {
        Ok(None) => Err(UnpackError::TooLarge),
        Ok(Some(size)) => Ok((spool.finish().map_err(UnpackError::Spool)?, Some(size))),
        Err(error) => Err(match error.downcast::<BadInput>() {
            Ok(BadInput(error)) => UnpackError::Damaged(error),
            Err(error) => UnpackError::Spool(error),
        }),
    }
}

fn read_start(file: &mut File, start: &mut [u8]) -> io::Result<usize> {
    let mut found = 0;
    while let Some(rest) = start.get_mut(found..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => found = found.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(found)
}

/// A decoder whose errors can be told from those of the destination.
struct Unpacking(zstd::Decoder<'static, BufReader<File>>);

/// An error of the compressed file.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadInput(io::Error);

impl Read for Unpacking {
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

    fn pack(bytes: &[u8], compressed: bool) -> (Vec<u8>, u64) {
        let mut output = Vec::new();
        let mut packer = Packer::new(&mut output, compressed).unwrap();
        packer.write_all(bytes).unwrap();
        let count = packer.finish().unwrap();
        (output, count)
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn contents(mut file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        let original: Vec<u8> = (0..1_000_000u32).flat_map(|index| (index / 7).to_le_bytes()).collect();
        let (packed, count) = pack(&original, true);
        assert_eq!(count, packed.len() as u64);
        assert!(is_packed(&packed) && packed.len() < original.len() / 2);
        let (file, size) = unpacked(file(&packed)).unwrap();
        assert_eq!(size, Some(original.len() as u64));
        assert!(contents(file) == original);
    }

    #[test]
    fn without_compression_nothing_changes() {
        let original = vec![5; 700_000];
        let (plain, count) = pack(&original, false);
        assert!(plain == original);
        assert_eq!(count, 700_000);
        for bytes in [&b""[..], b"MD", b"MDMP and more", &MAGIC[..3]] {
            let (same, size) = unpacked(file(bytes)).unwrap();
            assert_eq!((contents(same).as_slice(), size), (bytes, None));
        }
    }

    #[test]
    fn a_packer_that_is_dropped_writes_nothing_more() {
        let mut output = Vec::new();
        for compressed in [false, true] {
            let mut packer = Packer::new(&mut output, compressed).unwrap();
            packer.write_all(b"half").unwrap();
            drop(packer);
            assert_eq!(output, b"");
        }
    }

    #[test]
    fn a_bomb_is_refused_and_takes_no_space() {
        let (bomb, _) = pack(&vec![0; 64 << 20], true);
        assert!(bomb.len() < 64 << 10);
        let error = unpacked_up_to(file(&bomb), (64 << 20) - 1).unwrap_err();
        assert!(matches!(error, UnpackError::TooLarge), "{error}");
        assert!(error.to_string().contains("more than 4 GiB"), "{error}");
        assert!(unpacked_up_to(file(&bomb), 64 << 20).is_ok());
    }

    #[test]
    fn damage_is_told() {
        let original: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let (packed, _) = pack(&original, true);
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
        let parts = [pack(b"one ", true).0, pack(b"two", true).0].concat();
        let (file, size) = unpacked(file(&parts)).unwrap();
        assert_eq!((contents(file).as_slice(), size), (&b"one two"[..], Some(7)));
    }
}
