//! The large parts of the streams, which are made when they are written: so they never lie in memory as a whole.

use super::context::ContextKind;
use super::gather::Gather;
use super::streams::{linux_text, memory_info, windows_memory_info, windows_regions};
use super::{FormatError, MemoryWriter};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_snapshot::Snapshot;

/// About how many bytes are made at a time.
const BATCH: usize = 32 << 10;

/// What belongs into a gap of the head of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deferred {
    /// The contexts of all threads that have one, each aligned.
    Contexts(ContextKind),
    /// The native contexts of all threads of a 32-bit program that have one, each aligned.
    NativeContexts(ContextKind),
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
            Self::Contexts(kind) => write_batches(&snapshot.threads, output, |batch, thread| {
                kind.write(batch, thread).map(|_| ())
            }),
            Self::NativeContexts(kind) => {
                let threads = snapshot.windows.as_ref().map_or(&[][..], |facts| &facts.threads);
                write_batches(threads, output, |batch, thread| {
                    thread.native.as_ref().map_or(Ok(()), |state| kind.write_state(batch, state).map(|_| ()))
                })
            }
            Self::Regions if !windows_regions(snapshot).is_empty() => {
                write_batches(windows_regions(snapshot), output, |batch, region| {
                    batch.write(windows_memory_info(region)).map(|_| ())
                })
            }
            Self::Regions => write_batches(&snapshot.regions, output, |batch, region| {
                batch.write(memory_info(snapshot, region)).map(|_| ())
            }),
            Self::Text(stream_type) => output.push(linux_text(snapshot, stream_type).unwrap_or_default()),
        }
    }
}

fn write_batches<T>(
    values: &[T],
    output: &mut Gather<'_, '_>,
    append: impl Fn(&mut MemoryWriter, &T) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut batch = MemoryWriter::default();
    for value in values {
        append(&mut batch, value)?;
        if batch.bytes().len() >= BATCH {
            output.put(batch.bytes())?;
            batch.rewind((0, 0));
        }
    }
    output.put(batch.bytes())
}
