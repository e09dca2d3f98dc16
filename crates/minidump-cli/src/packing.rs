//! zstd (RFC 8878) on the way out.

use std::io::{self, IoSlice, Write};
use zstd::stream::{raw, zio};

/// Compressed bytes gathered before they are handed to the operating system. What is not compressed comes in large pieces.
const BUFFER_SIZE: usize = 256 << 10;

/// zstd's own default. It keeps up with a fast disk in 4 MiB of memory, and a dump, mostly zeros and pointers, gains
/// little from more.
const LEVEL: i32 = 3;

/// The destination of a dump, which is compressed on the way or not. Nothing reaches `W` after a failure: dropping this
/// discards what was gathered for compressing.
pub enum Packer<W: Write> {
    /// As it comes.
    Plain(Counter<W>),
    /// Compressed.
    Zstd(Box<zstd::Encoder<'static, Counter<W>>>),
}

impl<W: Write> Packer<W> {
    /// A way to `output`.
    pub fn new(output: W, compressed: bool) -> io::Result<Self> {
        let counter = Counter { inner: output, count: 0 };
        if !compressed {
            return Ok(Self::Plain(counter));
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
            Self::Plain(counter) => counter,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        counter.flush()?;
        Ok(counter.count)
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(counter) => counter.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(counter) => counter.write_vectored(pieces),
            Self::Zstd(encoder) => encoder.write_vectored(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(counter) => counter.flush(),
            Self::Zstd(encoder) => encoder.flush(),
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

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let done = self.inner.write_vectored(pieces)?;
        self.count = self.count.saturating_add(done as u64);
        Ok(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
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

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        let original: Vec<u8> = (0..1_000_000u32).flat_map(|index| (index / 7).to_le_bytes()).collect();
        let (packed, count) = pack(&original, true);
        assert_eq!(count, packed.len() as u64);
        assert!(packed.len() < original.len() / 2);
        assert!(zstd::decode_all(packed.as_slice()).unwrap() == original);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let original: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let (mut packed, _) = pack(&original, true);
        let last = packed.len() - 1;
        packed[last] ^= 1;
        assert!(zstd::decode_all(packed.as_slice()).unwrap_err().to_string().contains("checksum"));
    }

    #[test]
    fn without_compression_nothing_changes() {
        let original = vec![5; 700_000];
        let (plain, count) = pack(&original, false);
        assert!(plain == original);
        assert_eq!(count, 700_000);
    }

    #[test]
    fn pieces_that_come_together_stay_together() {
        let mut output = Vec::new();
        let mut packer = Packer::new(&mut output, false).unwrap();
        assert_eq!(packer.write_vectored(&[IoSlice::new(b"one"), IoSlice::new(b"two")]).unwrap(), 6);
        assert_eq!(packer.finish().unwrap(), 6);
        assert_eq!(output, b"onetwo");
    }

    #[test]
    fn a_packer_that_is_dropped_writes_nothing_more() {
        let mut output = Vec::new();
        let mut packer = Packer::new(&mut output, true).unwrap();
        packer.write_all(b"half").unwrap();
        drop(packer);
        assert_eq!(output, b"");
    }
}
