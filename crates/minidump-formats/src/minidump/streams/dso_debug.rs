use crate::minidump::memory_writer::count;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{MINIDUMP_STREAM_TYPE, RVA};
use minidump_snapshot::{DsoDebug, LinkMap};
use scroll::{Pread, Pwrite, SizeWith};

/// `MDRawDebug64` of Breakpad's `minidump_format.h`: 40 bytes, then the executable's dynamic section.
///
/// The header does not pack the structure, so a C compiler aligns `brk`, and minidump-2-core, which reads it, expects
/// the padding. `minidump_common::format::DSO_DEBUG_64` leaves the padding out and does not match.
#[derive(Debug, Clone, Copy, Pread, Pwrite, SizeWith)]
struct RawDebug64 {
    version: u32,
    map: RVA,
    dso_count: u32,
    padding: u32,
    brk: u64,
    ldbase: u64,
    dynamic: u64,
}

/// `MDRawLinkMap64`: 24 bytes. As above, the padding in front of `ld` is the C compiler's.
#[derive(Debug, Clone, Copy, Pread, Pwrite, SizeWith)]
struct RawLinkMap64 {
    addr: u64,
    name: RVA,
    padding: u32,
    ld: u64,
}

/// What the dynamic loader says it has loaded.
pub(crate) struct DsoDebugSection<'a>(pub &'a DsoDebug);

fn write_link_maps(buffer: &mut MemoryWriter, entries: &[LinkMap]) -> Result<RVA, FormatError> {
    if entries.is_empty() {
        return Ok(0);
    }
    buffer.align(8);
    let start = buffer.position();
    let list = buffer.reserve_array(entries.len())?;
    let rva = buffer.location_since(start)?.rva;
    for (index, entry) in entries.iter().enumerate() {
        let name = buffer.write_string(&entry.name)?;
        buffer.fill(&list, index, RawLinkMap64 { addr: entry.base, name, padding: 0, ld: entry.dynamic })?;
    }
    Ok(rva)
}

impl SectionWriter for DsoDebugSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let Self(debug) = self;
        buffer.align(8);
        let start = buffer.position();
        let slot = buffer.reserve_array(1)?;
        buffer.write_bytes(&debug.dynamic_contents)?;
        let location = buffer.location_since(start)?;
        let raw = RawDebug64 {
            version: debug.version,
            map: write_link_maps(buffer, &debug.link_maps)?,
            dso_count: count(debug.link_maps.len())?,
            padding: 0,
            brk: debug.brk,
            ldbase: debug.ldbase,
            dynamic: debug.dynamic,
        };
        buffer.fill(&slot, 0, raw)?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::LinuxDsoDebug.into()
    }

    fn size_hint(&self) -> usize {
        let names = self.0.link_maps.iter().map(|entry| 40 + 2 * entry.name.len());
        names.sum::<usize>() + self.0.dynamic_contents.len() + 64
    }
}
