//! The address space of a process, as `VirtualQueryEx` tells it.
#![expect(unsafe_code, reason = "calls of the system")]

use crate::snapshot::{Protection, Region, RegionKind, WindowsRegion};
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_IMAGE, MEM_MAPPED, MEMORY_BASIC_INFORMATION, PAGE_EXECUTE, PAGE_EXECUTE_READ,
    PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY, PAGE_GUARD, PAGE_NOCACHE, PAGE_READONLY, PAGE_READWRITE,
    PAGE_WRITECOMBINE, PAGE_WRITECOPY, VirtualQueryEx,
};
use windows_sys::Win32::System::ProcessStatus::K32GetMappedFileNameW;

/// Most ranges that are looked at.
const MOST_REGIONS: usize = 1 << 21;

/// Most UTF-16 code units of a path.
const MOST_OF_PATH: usize = 1 << 15;

/// All ranges of the address space of `process`, by ascending address.
pub fn query(process: BorrowedHandle<'_>) -> Vec<WindowsRegion> {
    query_range(process, 0, usize::MAX)
}

/// The ranges of the address space of `process` from the one that contains `address` on, for `size` bytes.
pub fn query_range(process: BorrowedHandle<'_>, address: u64, size: usize) -> Vec<WindowsRegion> {
    let mut regions = Vec::new();
    let Ok(mut address) = usize::try_from(address) else { return regions };
    let limit = address.saturating_add(size);
    while address < limit && regions.len() < MOST_REGIONS {
        let Some(region) = query_one(process, address) else { break };
        let end = region.base.saturating_add(region.size);
        let Some(next) = usize::try_from(end).ok().filter(|next| *next > address) else { break };
        regions.push(region);
        address = next;
    }
    regions
}

fn query_one(process: BorrowedHandle<'_>, address: usize) -> Option<WindowsRegion> {
    let mut found = MEMORY_BASIC_INFORMATION::default();
    let size = size_of::<MEMORY_BASIC_INFORMATION>();
    let place = std::ptr::without_provenance(address);
    // SAFETY: the handle is open, the address is only looked up, and the structure is as long as said.
    let came = unsafe { VirtualQueryEx(process.as_raw_handle(), place, &raw mut found, size) };
    (came == size).then(|| WindowsRegion {
        base: found.BaseAddress.addr() as u64,
        allocation_base: found.AllocationBase.addr() as u64,
        allocation_protection: found.AllocationProtect,
        size: found.RegionSize as u64,
        state: found.State,
        protection: found.Protect,
        kind: found.Type,
    })
}

/// What is mapped of `ranges`, in the words of all systems.
pub fn mapped(ranges: &[WindowsRegion]) -> Vec<Region> {
    ranges.iter().filter(|range| range.state == MEM_COMMIT).map(region).collect()
}

/// Gives `regions` the names of the files that are mapped there, as the kernel has them (`\\Device\\HarddiskVolume1\\…`).
/// Each allocation is asked about once.
pub fn name_files(process: BorrowedHandle<'_>, ranges: &[WindowsRegion], regions: &mut [Region]) {
    let mut last = (u64::MAX, Vec::new());
    for range in ranges.iter().filter(|range| matches!(range.kind, MEM_IMAGE | MEM_MAPPED)) {
        if range.allocation_base != last.0 {
            last = (range.allocation_base, mapped_file(process, range.allocation_base));
        }
        if let Ok(index) = regions.binary_search_by_key(&range.base, |region| region.start)
            && let Some(region) = regions.get_mut(index)
        {
            region.name.clone_from(&last.1);
        }
    }
}

fn mapped_file(process: BorrowedHandle<'_>, address: u64) -> Vec<u8> {
    let mut path = vec![0_u16; MOST_OF_PATH];
    let (Ok(place), Ok(most)) = (usize::try_from(address), u32::try_from(path.len())) else {
        return Vec::new();
    };
    // SAFETY: the handle is open, the address is only looked up, and the buffer has as many units as are said.
    let length = unsafe {
        K32GetMappedFileNameW(
            process.as_raw_handle(),
            std::ptr::without_provenance(place),
            path.as_mut_ptr(),
            most,
        )
    };
    let path = usize::try_from(length).ok().and_then(|length| path.get(..length)).unwrap_or_default();
    String::from_utf16_lossy(path).into_bytes()
}

fn region(range: &WindowsRegion) -> Region {
    let protection = protection(range.protection);
    // What is not cached is a device's, or shared with one.
    let is_device = range.protection & (PAGE_NOCACHE | PAGE_WRITECOMBINE) != 0;
    let kind = match range.kind {
        _ if is_device => RegionKind::Device,
        MEM_IMAGE | MEM_MAPPED => RegionKind::File,
        _ => RegionKind::Anonymous,
    };
    let is_copied = matches!(range.protection & 0xff, PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY);
    Region {
        start: range.base,
        end: range.base.saturating_add(range.size),
        protection,
        shared: range.kind == MEM_MAPPED && protection.contains(Protection::WRITE) && !is_copied,
        kind,
        dont_dump: false,
        offset: if range.kind == MEM_IMAGE || range.kind == MEM_MAPPED {
            range.base.saturating_sub(range.allocation_base)
        } else {
            0
        },
        name: Vec::new(),
    }
}

/// What may be done with pages of protection `PAGE_*`. Nothing with guard pages: the first access, one from outside too,
/// makes them ordinary ones, and the stack that they guard would not grow any more.
fn protection(page: u32) -> Protection {
    if page & PAGE_GUARD != 0 {
        return Protection::empty();
    }
    match page & 0xff {
        PAGE_READONLY => Protection::READ,
        PAGE_READWRITE | PAGE_WRITECOPY => Protection::READ | Protection::WRITE,
        PAGE_EXECUTE => Protection::EXECUTE,
        PAGE_EXECUTE_READ => Protection::READ | Protection::EXECUTE,
        PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY => Protection::all(),
        _ => Protection::empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Memory::{MEM_PRIVATE, MEM_RESERVE, PAGE_NOACCESS};

    fn range(state: u32, protection: u32, kind: u32) -> WindowsRegion {
        WindowsRegion {
            base: 0x1_2000,
            allocation_base: 0x1_0000,
            allocation_protection: protection,
            size: 0x3000,
            state,
            protection,
            kind,
        }
    }

    #[test]
    fn only_committed_ranges_are_mapped() {
        let ranges = [range(MEM_RESERVE, 0, MEM_PRIVATE), range(MEM_COMMIT, PAGE_READWRITE, MEM_PRIVATE)];
        let [region] = mapped(&ranges).try_into().unwrap();
        assert_eq!((region.start, region.end, region.offset), (0x1_2000, 0x1_5000, 0));
        assert_eq!(region.protection, Protection::READ | Protection::WRITE);
        assert_eq!(region.kind, RegionKind::Anonymous);
    }

    #[test]
    fn guard_pages_and_closed_pages_cannot_be_read() {
        for page in [PAGE_READWRITE | PAGE_GUARD, PAGE_NOACCESS, 0] {
            assert_eq!(region(&range(MEM_COMMIT, page, MEM_PRIVATE)).protection, Protection::empty());
        }
    }

    #[test]
    fn images_and_files_have_offsets_and_only_written_files_are_shared() {
        let image = region(&range(MEM_COMMIT, PAGE_EXECUTE_WRITECOPY, MEM_IMAGE));
        assert_eq!((image.kind, image.offset, image.shared), (RegionKind::File, 0x2000, false));
        assert!(region(&range(MEM_COMMIT, PAGE_READWRITE, MEM_MAPPED)).shared);
        assert!(!region(&range(MEM_COMMIT, PAGE_WRITECOPY, MEM_MAPPED)).shared);
        let device = region(&range(MEM_COMMIT, PAGE_READWRITE | PAGE_WRITECOMBINE, MEM_MAPPED));
        assert_eq!(device.kind, RegionKind::Device);
    }
}
