use crate::minidump::deferred::Deferred;
use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MINIDUMP_MEMORY_INFO, MINIDUMP_MEMORY_INFO_LIST, MINIDUMP_STREAM_TYPE, MemoryProtection, MemoryState,
    MemoryType,
};
use minidump_snapshot::{Protection, Region, RegionKind, Snapshot, WindowsRegion};

/// The memory map. That of Windows is as the system tells it, free and reserved ranges included; mappings of other
/// systems are told in the words of Windows.
///
/// Source: <https://learn.microsoft.com/windows/win32/memory/memory-protection-constants>.
pub(crate) struct MemoryInfoListSection<'a>(pub &'a Snapshot);

/// Windows has no memory that can be written but not read.
fn protection(protection: Protection) -> MemoryProtection {
    let writable = protection.contains(Protection::WRITE);
    let readable = protection.contains(Protection::READ);
    match (protection.contains(Protection::EXECUTE), writable, readable) {
        (true, true, _) => MemoryProtection::PAGE_EXECUTE_READWRITE,
        (true, false, true) => MemoryProtection::PAGE_EXECUTE_READ,
        (true, false, false) => MemoryProtection::PAGE_EXECUTE,
        (false, true, _) => MemoryProtection::PAGE_READWRITE,
        (false, false, true) => MemoryProtection::PAGE_READONLY,
        (false, false, false) => MemoryProtection::PAGE_NOACCESS,
    }
}

/// The entry of `region`.
pub(crate) fn memory_info(snapshot: &Snapshot, region: &Region) -> MINIDUMP_MEMORY_INFO {
    let file = matches!(region.kind, RegionKind::File | RegionKind::Device | RegionKind::Kernel);
    let module = snapshot.module_at(region.start).filter(|_| file);
    let kind = match module {
        Some(_) => MemoryType::MEM_IMAGE,
        None if file || region.shared => MemoryType::MEM_MAPPED,
        None => MemoryType::MEM_PRIVATE,
    };
    // Linux does not remember the protection a mapping began with.
    let protection = protection(region.protection).bits();
    MINIDUMP_MEMORY_INFO {
        base_address: region.start,
        allocation_base: module.map_or(region.start, |module| module.base),
        allocation_protection: protection,
        __alignment1: 0,
        region_size: region.size(),
        state: MemoryState::MEM_COMMIT.bits(),
        protection,
        _type: kind.bits(),
        __alignment2: 0,
    }
}

/// The entry of a region of Windows.
pub(crate) fn windows_memory_info(region: &WindowsRegion) -> MINIDUMP_MEMORY_INFO {
    MINIDUMP_MEMORY_INFO {
        base_address: region.base,
        allocation_base: region.allocation_base,
        allocation_protection: region.allocation_protection,
        __alignment1: 0,
        region_size: region.size,
        state: region.state,
        protection: region.protection,
        _type: region.kind,
        __alignment2: 0,
    }
}

/// What Windows tells of its regions; empty on other systems, and when it told nothing.
pub(crate) fn windows_regions(snapshot: &Snapshot) -> &[WindowsRegion] {
    snapshot.windows.as_ref().map_or(&[], |facts| &facts.regions)
}

/// Number of regions in the stream.
pub(crate) fn count_of_regions(snapshot: &Snapshot) -> usize {
    let windows = windows_regions(snapshot).len();
    if windows > 0 { windows } else { snapshot.regions.len() }
}

impl SectionWriter for MemoryInfoListSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(8);
        let start = buffer.position();
        let entry_size = size_of_encoded::<MINIDUMP_MEMORY_INFO>();
        buffer.write(MINIDUMP_MEMORY_INFO_LIST {
            size_of_header: count(size_of_encoded::<MINIDUMP_MEMORY_INFO_LIST>())?,
            size_of_entry: count(entry_size)?,
            number_of_entries: count_of_regions(self.0) as u64,
        })?;
        let size = (count_of_regions(self.0) as u64).saturating_mul(entry_size as u64);
        buffer.defer(size, Deferred::Regions)?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location: buffer.location_since(start)? })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::MemoryInfoListStream.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_rights_has_its_constant() {
        let (r, w, x) = (Protection::READ, Protection::WRITE, Protection::EXECUTE);
        let cases = [
            (Protection::empty(), 0x01),
            (r, 0x02),
            (w, 0x04),
            (r | w, 0x04),
            (x, 0x10),
            (r | x, 0x20),
            (w | x, 0x40),
            (r | w | x, 0x40),
        ];
        for (rights, expected) in cases {
            assert_eq!(protection(rights).bits(), expected, "{rights:?}");
        }
    }
}
