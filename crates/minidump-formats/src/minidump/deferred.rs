//! The large parts of the streams, which are made when they are written: so they never lie in memory as a whole.

use super::context::context_of;
use super::gather::Gather;
use super::streams::{linux_text, memory_info};
use super::{FormatError, MemoryWriter};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_snapshot::Snapshot;
use scroll::Endian;
use scroll::ctx::{SizeWith, TryIntoCtx};

/// About how many bytes are made at a time.
const BATCH: usize = 32 << 10;

/// What belongs into a gap of the head of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deferred {
    /// The contexts of all threads that have one, back to back.
    Contexts,
    /// The entries of the memory map.
    Regions,
    /// The text of the stream of this type.
    Text(MINIDUMP_STREAM_TYPE),
}

impl Deferred {
    /// Writes it, out of the snapshot that the file was laid out for.
    pub(crate) fn write<'a>(
        self,
        snapshot: &'a Snapshot,
        output: &mut Gather<'a, '_>,
    ) -> Result<(), FormatError> {
        match self {
            Self::Contexts => {
                let contexts = snapshot.threads.iter().map(|thread| context_of(thread, &snapshot.system));
                write_batches(contexts.flatten(), output)
            }
            Self::Regions => {
                write_batches(snapshot.regions.iter().map(|region| memory_info(snapshot, region)), output)
            }
            Self::Text(stream_type) => output.push(linux_text(snapshot, stream_type).unwrap_or_default()),
        }
    }
}

fn write_batches<T>(values: impl Iterator<Item = T>, output: &mut Gather<'_, '_>) -> Result<(), FormatError>
where
    T: SizeWith<Endian> + TryIntoCtx<Endian, Error = scroll::Error>,
{
    let mut batch = MemoryWriter::default();
    for value in values {
        batch.write(value)?;
        if batch.bytes().len() >= BATCH {
            output.put(batch.bytes())?;
            batch.rewind((0, 0));
        }
    }
    output.put(batch.bytes())
}
