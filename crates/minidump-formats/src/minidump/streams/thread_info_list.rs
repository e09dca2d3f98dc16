use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::time::{filetime, ticks};
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{MINIDUMP_STREAM_TYPE, MINIDUMP_THREAD_INFO};
use minidump_snapshot::{Snapshot, Thread};

/// `DumpFlags` of `MINIDUMP_THREAD_INFO`.
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_thread_info>.
mod dump_flags {
    pub(super) const ERROR_THREAD: u32 = 0x01;
    pub(super) const INVALID_INFO: u32 = 0x08;
    pub(super) const INVALID_CONTEXT: u32 = 0x10;
}

/// `E_FAIL`, the HRESULT of an unspecified failure; the soft errors tell more.
const E_FAIL: u32 = 0x8000_4005;

/// Size in bytes of the three u32 of `MINIDUMP_THREAD_INFO_LIST`.
const HEADER_SIZE: u32 = 12;

/// Times and affinity of the threads, on Windows where they began, and which of them could not be captured.
pub(crate) struct ThreadInfoListSection<'a>(pub &'a Snapshot);

fn flags(thread: &Thread) -> u32 {
    let context = if thread.cpu.is_none() { dump_flags::INVALID_CONTEXT } else { 0 };
    let info = if thread.times.is_none() { dump_flags::INVALID_INFO } else { 0 };
    // "A placeholder thread": nothing exists beyond the identifier.
    let nothing = thread.cpu.is_none() && thread.times.is_none() && thread.fallback_sp_ip.is_none();
    context | info | if nothing { dump_flags::ERROR_THREAD } else { 0 }
}

fn raw(snapshot: &Snapshot, thread: &Thread) -> MINIDUMP_THREAD_INFO {
    let windows = snapshot.windows.as_ref().and_then(|facts| facts.thread(thread.id));
    let dump_flags = flags(thread);
    let times = thread.times;
    MINIDUMP_THREAD_INFO {
        thread_id: thread.id,
        dump_flags,
        dump_error: if dump_flags & dump_flags::INVALID_CONTEXT == 0 { 0 } else { E_FAIL },
        exit_status: 0,
        create_time: times.map_or(0, |times| filetime(times.start_us)),
        exit_time: 0,
        kernel_time: times.map_or(0, |times| ticks(times.kernel_us)),
        user_time: times.map_or(0, |times| ticks(times.user_us)),
        start_address: windows.and_then(|windows| windows.start_address).unwrap_or(0),
        affinity: thread.affinity.unwrap_or(0),
    }
}

impl SectionWriter for ThreadInfoListSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(4);
        let start = buffer.position();
        buffer.write(HEADER_SIZE)?;
        buffer.write(count(size_of_encoded::<MINIDUMP_THREAD_INFO>())?)?;
        buffer.write(count(self.0.threads.len())?)?;
        for thread in &self.0.threads {
            buffer.write(raw(self.0, thread))?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.location_since(start)? })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::ThreadInfoListStream.into()
    }

    fn size_hint(&self) -> usize {
        self.0.threads.len().saturating_mul(64) + 16
    }
}
