//! Header and directory. A stream is entered once its bytes are in the file, so that at any instant the file is a
//! minidump of what was written so far; slots of streams that are still to come have type and size zero.

use crate::bytes::Fields;
use crate::output::{Full, Output};

const HEADER_SIZE: u64 = 32;
const ENTRY_SIZE: u64 = 12;
const ENTRY_COUNT: u32 = 13;

/// A stream: its slot in the directory, and its type. Types from 0x4767_0000 are Breakpad's, 0x4d7a_0000 Mozilla's,
/// 0x4350_0000 Crashpad's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Exception,
    SystemInfo,
    MiscInfo,
    SoftErrors,
    ThreadList,
    MemoryList,
    ModuleList,
    Annotations,
    ThreadNames,
    Auxv,
    CommandLine,
    Status,
    Maps,
}

impl Stream {
    /// Slot and type.
    fn place(self) -> (u64, u32) {
        match self {
            Self::Exception => (0, 6),
            Self::SystemInfo => (1, 7),
            Self::MiscInfo => (2, 15),
            Self::SoftErrors => (3, 0x4d7a_0004),
            Self::ThreadList => (4, 3),
            Self::MemoryList => (5, 5),
            Self::ModuleList => (6, 4),
            Self::Annotations => (7, 0x4350_0001),
            Self::ThreadNames => (8, 24),
            Self::Auxv => (9, 0x4767_0008),
            Self::CommandLine => (10, 0x4767_0006),
            Self::Status => (11, 0x4767_0004),
            Self::Maps => (12, 0x4767_0009),
        }
    }
}

/// Appends header and empty directory to the empty file (minidumpapiset.h, `MINIDUMP_HEADER`).
pub(crate) fn begin(out: &mut Output<'_>, time: u64) -> Result<(), Full> {
    let mut header = Fields::<32>::new();
    header.bytes(b"MDMP").u32(0xa793).u32(ENTRY_COUNT).u32(32).u32(0);
    header.u32(u32::try_from(time).unwrap_or(u32::MAX));
    out.append(header.as_bytes())?;
    for _ in 0..ENTRY_COUNT {
        out.append(&[0; 12])?;
    }
    Ok(())
}

/// Enters a stream of `size` bytes at `rva`, or what takes the place of the one entered before.
pub(crate) fn enter(out: &mut Output<'_>, stream: Stream, rva: u32, size: u32) -> Result<(), Full> {
    let (slot, stream_type) = stream.place();
    let end = u64::from(rva).saturating_add(size.into());
    if out.flush().is_err() && end > out.written() {
        return Err(Full);
    }
    let entry = Fields::<12>::new().u32(stream_type).u32(size).u32(rva).finish();
    out.patch(HEADER_SIZE.saturating_add(slot.saturating_mul(ENTRY_SIZE)), &entry)
}

/// Enters a stream that reaches from `rva` to the end of the file.
pub(crate) fn enter_since(out: &mut Output<'_>, stream: Stream, rva: u32) -> Result<(), Full> {
    let size = out.rva().saturating_sub(rva);
    enter(out, stream, rva, size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use minidump_common::format::MINIDUMP_STREAM_TYPE as Type;

    #[test]
    fn types_are_those_of_the_format_and_slots_are_distinct() {
        let all = [
            (Stream::Exception, Type::ExceptionStream),
            (Stream::SystemInfo, Type::SystemInfoStream),
            (Stream::MiscInfo, Type::MiscInfoStream),
            (Stream::SoftErrors, Type::MozSoftErrors),
            (Stream::ThreadList, Type::ThreadListStream),
            (Stream::MemoryList, Type::MemoryListStream),
            (Stream::ModuleList, Type::ModuleListStream),
            (Stream::Annotations, Type::CrashpadInfoStream),
            (Stream::ThreadNames, Type::ThreadNamesStream),
            (Stream::Auxv, Type::LinuxAuxv),
            (Stream::CommandLine, Type::LinuxCmdLine),
            (Stream::Status, Type::LinuxProcStatus),
            (Stream::Maps, Type::LinuxMaps),
        ];
        assert_eq!(all.len(), ENTRY_COUNT as usize);
        for (slot, (stream, kind)) in all.into_iter().enumerate() {
            assert_eq!(stream.place(), (slot as u64, kind.into()));
        }
    }
}
