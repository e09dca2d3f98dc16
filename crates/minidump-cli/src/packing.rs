//! zstd (RFC 8878) on the way out.

use std::io::{self, BufWriter, Write};
use zstd::stream::{raw, zio};

/// Bytes gathered before they are handed to the operating system.
const BUFFER_SIZE: usize = 256 << 10;

/// zstd's own default. It keeps up with a fast disk in 4 MiB of memory, and a dump, mostly zeros and pointers, gains
/// little from more.
const LEVEL: i32 = 3;

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
    fn a_packer_that_is_dropped_writes_nothing_more() {
        let mut output = Vec::new();
        for compressed in [false, true] {
            let mut packer = Packer::new(&mut output, compressed).unwrap();
            packer.write_all(b"half").unwrap();
            drop(packer);
            assert_eq!(output, b"");
        }
    }
}
