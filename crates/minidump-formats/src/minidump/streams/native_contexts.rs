use crate::minidump::context::{CONTEXT_ALIGNMENT, ContextKind};
use crate::minidump::deferred::Deferred;
use crate::minidump::memory_writer::{count, location, size_of_encoded};
use crate::minidump::{
    FormatError, ListHeader, MDRawDirectory, MemoryWriter, NATIVE_CONTEXTS_STREAM, SectionWriter,
};
use minidump_common::format::MINIDUMP_LOCATION_DESCRIPTOR;
use minidump_snapshot::{WindowsFacts, WindowsThread};
use scroll::{Pread, Pwrite, SizeWith};

/// Where the second context of a thread lies: an entry of [`NATIVE_CONTEXTS_STREAM`], 16 bytes.
#[derive(Debug, Clone, Pread, Pwrite, SizeWith)]
pub struct NativeContext {
    /// Thread id.
    pub thread_id: u32,
    /// The processor of the context, as `ProcessorArchitecture` of the system information numbers them.
    pub architecture: u16,
    /// Zero.
    pub reserved: u16,
    /// Offset in the file and size in bytes of the context.
    pub context: MINIDUMP_LOCATION_DESCRIPTOR,
}

/// The 64-bit registers of the threads of a 32-bit program of Windows, which the thread list has no room for: with which
/// the system's own code runs that such a program calls. All are of one processor.
pub(crate) struct NativeContextsSection<'a> {
    facts: &'a WindowsFacts,
    kind: ContextKind,
}

impl<'a> NativeContextsSection<'a> {
    /// `None` when no thread has a second context.
    pub(crate) fn new(facts: &'a WindowsFacts) -> Option<Self> {
        let first = facts.threads.iter().find_map(|thread| thread.native.as_ref())?;
        Some(Self { facts, kind: ContextKind::of(first) }).filter(|section| section.kind.size() > 0)
    }

    fn threads(&self) -> impl Iterator<Item = u32> {
        let has_context =
            |thread: &&WindowsThread| thread.native.as_ref().is_some_and(|state| self.kind.holds(state));
        self.facts.threads.iter().filter(has_context).map(|thread| thread.id)
    }
}

impl SectionWriter for NativeContextsSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let entries = self.threads().count();
        buffer.align(8);
        let start = buffer.position();
        buffer.write(ListHeader {
            size_of_header: count(size_of_encoded::<ListHeader>())?,
            size_of_entry: count(size_of_encoded::<NativeContext>())?,
            number_of_entries: count(entries)?,
            reserved: 0,
        })?;
        let list = buffer.reserve_array(entries)?;
        let stream = buffer.location_since(start)?;
        buffer.align(CONTEXT_ALIGNMENT);
        let stride = u64::from(self.kind.stride());
        let contexts = (entries as u64).saturating_mul(stride);
        let mut at = u64::from(buffer.defer(contexts, Deferred::NativeContexts(self.kind))?.rva);
        for (index, thread_id) in self.threads().enumerate() {
            let context = location(at, self.kind.size().into())?;
            let architecture = self.kind.architecture() as u16;
            buffer.fill(&list, index, NativeContext { thread_id, architecture, reserved: 0, context })?;
            at = at.saturating_add(stride);
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location: stream })
    }

    fn section_type(&self) -> u32 {
        NATIVE_CONTEXTS_STREAM
    }

    fn size_hint(&self) -> usize {
        self.facts.threads.len().saturating_mul(16).saturating_add(48)
    }
}
