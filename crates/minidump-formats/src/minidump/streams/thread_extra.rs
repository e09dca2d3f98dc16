use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::{
    FormatError, ListHeader, MDRawDirectory, MemoryWriter, SectionWriter, THREAD_EXTRA_STREAM,
};
use minidump_snapshot::{CpuState, Snapshot, Thread};
use scroll::{Pread, Pwrite, SizeWith};

/// Which fields of a [`ThreadExtra`] hold something. Bits of [`ThreadExtra::flags`].
#[derive(Debug)]
pub struct ThreadExtraFlags;

impl ThreadExtraFlags {
    /// `fs_base`, `gs_base` and `orig_rax` are those of the stopped thread.
    pub const REGISTERS: u32 = 1;
    /// `thread_pointer` is known.
    pub const THREAD_POINTER: u32 = 2;
    /// `state` is known.
    pub const STATE: u32 = 4;
    /// `stack_pointer` and `instruction_pointer` come from a side channel, because the thread could not be stopped.
    pub const POINTERS: u32 = 8;
}

/// Facts about a thread for which Microsoft's structures have no field: an entry of
/// [`THREAD_EXTRA_STREAM`], 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pread, Pwrite, SizeWith)]
pub struct ThreadExtra {
    /// Thread id.
    pub thread_id: u32,
    /// Bits of [`ThreadExtraFlags`].
    pub flags: u32,
    /// FS base.
    pub fs_base: u64,
    /// GS base.
    pub gs_base: u64,
    /// RAX at system-call entry; `u64::MAX` outside a system call.
    pub orig_rax: u64,
    /// The thread's own data block: what `Teb` is on Windows.
    pub thread_pointer: u64,
    /// Stack pointer from the side channel.
    pub stack_pointer: u64,
    /// Instruction pointer from the side channel.
    pub instruction_pointer: u64,
    /// Scheduler state before the stop, as the code point of the letter that Linux uses.
    pub state: u32,
    /// Zero.
    pub reserved: u32,
}

impl ThreadExtra {
    fn of(thread: &Thread) -> Self {
        let mut flags = 0;
        let mut flag = |bit, known| flags |= if known { bit } else { 0 };
        let registers = match &thread.cpu {
            Some(CpuState::Amd64(state)) => Some((state.fs_base, state.gs_base, state.orig_rax)),
            _ => None,
        };
        flag(ThreadExtraFlags::REGISTERS, registers.is_some());
        flag(ThreadExtraFlags::THREAD_POINTER, thread.thread_pointer.is_some());
        flag(ThreadExtraFlags::STATE, thread.state.is_some());
        flag(ThreadExtraFlags::POINTERS, thread.fallback_sp_ip.is_some());
        let (fs_base, gs_base, orig_rax) = registers.unwrap_or_default();
        let (stack_pointer, instruction_pointer) = thread.fallback_sp_ip.unwrap_or_default();
        Self {
            thread_id: thread.id,
            flags,
            fs_base,
            gs_base,
            orig_rax,
            thread_pointer: thread.thread_pointer.unwrap_or(0),
            stack_pointer,
            instruction_pointer,
            state: thread.state.map_or(0, u32::from),
            reserved: 0,
        }
    }
}

/// A [`ThreadExtra`] for every thread, in the order of the thread list.
pub(crate) struct ThreadExtraSection<'a>(pub &'a Snapshot);

impl SectionWriter for ThreadExtraSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(8);
        let start = buffer.position();
        buffer.write(ListHeader {
            size_of_header: count(size_of_encoded::<ListHeader>())?,
            size_of_entry: count(size_of_encoded::<ThreadExtra>())?,
            number_of_entries: count(self.0.threads.len())?,
            reserved: 0,
        })?;
        for thread in &self.0.threads {
            buffer.write(ThreadExtra::of(thread))?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.location_since(start)? })
    }

    fn section_type(&self) -> u32 {
        THREAD_EXTRA_STREAM
    }

    fn size_hint(&self) -> usize {
        self.0.threads.len().saturating_mul(64) + 24
    }
}
