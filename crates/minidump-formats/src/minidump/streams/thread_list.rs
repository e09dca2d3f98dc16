use crate::minidump::context::{CONTEXT_ALIGNMENT, ContextKind};
use crate::minidump::deferred::Deferred;
use crate::minidump::memory_writer::count;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, ReservedArray, SectionWriter};
use minidump_common::format::{
    MINIDUMP_LOCATION_DESCRIPTOR, MINIDUMP_MEMORY_DESCRIPTOR, MINIDUMP_STREAM_TYPE, MINIDUMP_THREAD,
};
use minidump_snapshot::{MemoryPlan, OperatingSystem, Snapshot, Thread, ThreadStack};

/// Offset of `Stack.Memory` in `MINIDUMP_THREAD`: four u32, the u64 `Teb`, the u64 `Stack.StartOfMemoryRange`.
const STACK_LOCATION: usize = 4 * 4 + 8 + 8;

/// Threads with their registers and their stacks, in the order of the snapshot: the blamed one first.
///
/// `Teb` stays zero but on Windows. There the last error of a thread lies at a fixed offset from it, and readers look there
/// whatever the platform: with the FS base of Linux they would show a word of the thread's stack as its last error.
/// The FS base is in [`THREAD_EXTRA_STREAM`](crate::minidump::THREAD_EXTRA_STREAM).
pub(crate) struct ThreadListSection<'a> {
    pub snapshot: &'a Snapshot,
    pub plan: &'a MemoryPlan,
    pub contexts: ContextKind,
}

impl ThreadListSection<'_> {
    fn write_thread(
        &self,
        buffer: &mut MemoryWriter,
        (list, index): (&ReservedArray<MINIDUMP_THREAD>, usize),
        thread: &Thread,
        thread_context: MINIDUMP_LOCATION_DESCRIPTOR,
    ) -> Result<(), FormatError> {
        let stack = self.plan.stack_of(thread.id);
        let windows = self.snapshot.windows.as_ref().and_then(|facts| facts.thread(thread.id));
        let apple = thread.apple.as_ref().map(|apple| apple.suspend_count);
        let is_windows = self.snapshot.system.os == OperatingSystem::Windows;
        let raw = MINIDUMP_THREAD {
            thread_id: thread.id,
            suspend_count: windows.map(|windows| windows.suspend_count).or(apple).unwrap_or(0),
            priority_class: windows.map_or(0, |windows| windows.priority_class),
            // A signed number on Linux; readers on Windows know it as signed, too.
            priority: thread.priority.unwrap_or(0).cast_unsigned(),
            teb: thread.thread_pointer.filter(|_| is_windows).unwrap_or(0),
            stack: stack_descriptor(stack, thread),
            thread_context,
        };
        buffer.fill(list, index, raw)?;
        if let Some(stack) = stack {
            buffer.refer_to_memory((list, index, STACK_LOCATION), stack.start, stack.size)?;
        }
        Ok(())
    }
}

/// Leaves room for `count` contexts. Returns where they lie, one after the other.
fn defer_contexts(
    buffer: &mut MemoryWriter,
    kind: ContextKind,
    count: usize,
) -> Result<impl Iterator<Item = MINIDUMP_LOCATION_DESCRIPTOR> + use<>, FormatError> {
    if count > 0 {
        buffer.align(CONTEXT_ALIGNMENT);
    }
    let size = (count as u64).saturating_mul(u64::from(kind.stride()));
    let rva = buffer.defer(size, Deferred::Contexts(kind))?.rva;
    let end = rva.saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
    let starts = (rva..end).step_by(kind.stride().max(1) as usize);
    Ok(starts.map(move |rva| MINIDUMP_LOCATION_DESCRIPTOR { data_size: kind.size(), rva }))
}

/// The descriptor of a stack whose place in the file is not known yet. Without a kept stack it still tells where the
/// stack would be.
fn stack_descriptor(stack: Option<ThreadStack>, thread: &Thread) -> MINIDUMP_MEMORY_DESCRIPTOR {
    let start = stack.map(|stack| stack.start).or(thread.stack_pointer());
    MINIDUMP_MEMORY_DESCRIPTOR {
        start_of_memory_range: start.unwrap_or(0),
        memory: MINIDUMP_LOCATION_DESCRIPTOR::default(),
    }
}

impl SectionWriter for ThreadListSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let threads = &self.snapshot.threads;
        buffer.align(4);
        let start = buffer.position();
        buffer.write(count(threads.len())?)?;
        let list = buffer.reserve_array(threads.len())?;
        let location = buffer.location_since(start)?;
        let has_context = |thread: &Thread| self.contexts.is_known_of(thread);
        let known = threads.iter().filter(|thread| has_context(thread)).count();
        let mut contexts = defer_contexts(buffer, self.contexts, known)?;
        for (index, thread) in threads.iter().enumerate() {
            let context = if has_context(thread) { contexts.next() } else { None };
            self.write_thread(buffer, (&list, index), thread, context.unwrap_or_default())?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::ThreadListStream.into()
    }

    fn size_hint(&self) -> usize {
        self.snapshot.threads.len().saturating_mul(48) + 32
    }
}
