use crate::minidump::memory_writer::{ReservedArray, count, location, size_of_encoded};
use crate::minidump::tail::MEMORY_ALIGNMENT;
use crate::minidump::{FormatError, ListHeader, MDRawDirectory, MemoryWriter, XSAVE_LIST_STREAM};
use minidump_common::format::MINIDUMP_LOCATION_DESCRIPTOR;
use minidump_snapshot::{CpuState, Snapshot, Thread};
use scroll::{Pread, Pwrite, SizeWith};

/// Size in bytes of FXSAVE image and XSAVE header. An area that ends here tells no more than the thread's context.
const LEGACY_SIZE: usize = 512 + 64;

/// Alignment of the areas in the file. As memory has the same, it may begin right behind the last one.
pub(crate) const AREA_ALIGNMENT: u64 = MEMORY_ALIGNMENT as u64;

/// Where the XSAVE area of a thread lies: an entry of [`XSAVE_LIST_STREAM`], 16 bytes.
///
/// The area is in standard format (Intel SDM volume 1 §13.4): 512 bytes of FXSAVE image, 64 bytes of header that
/// begin with `XSTATE_BV`, then the components at the offsets that `XStateData` of the `MiscInfo` stream tells. It ends
/// behind the last component in use.
#[derive(Debug, Clone, Pread, Pwrite, SizeWith)]
pub struct XsaveArea {
    /// Thread id.
    pub thread_id: u32,
    /// Zero.
    pub reserved: u32,
    /// Offset in the file and size in bytes of the area.
    pub area: MINIDUMP_LOCATION_DESCRIPTOR,
}

/// The XSAVE areas of the threads that have more in them than their context: AVX, AVX-512, AMX, PKRU.
///
/// They are the largest facts of a snapshot, up to 11 KiB a thread, so they are not copied into the head of the file
/// but written from where they are, between it and the memory.
#[derive(Debug)]
pub(crate) struct XsaveAreas<'a> {
    areas: Vec<(u32, &'a [u8])>,
}

impl<'a> XsaveAreas<'a> {
    /// The areas of a snapshot.
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let area = |thread: &'a Thread| Some((thread.id, extended_area(thread)?));
        Self { areas: snapshot.threads.iter().filter_map(area).collect() }
    }

    /// No areas at all.
    pub(crate) fn none() -> Self {
        Self { areas: Vec::new() }
    }

    /// Bytes of all areas together, each padded to the alignment of the next.
    pub(crate) fn size(&self) -> u64 {
        self.areas.iter().map(|(_, area)| padded(area)).sum()
    }

    /// About how many bytes the list takes.
    pub(crate) fn list_size(&self) -> usize {
        self.areas.len().saturating_mul(16).saturating_add(24)
    }

    /// The areas in the order of the file. Behind each come zeros up to [`AREA_ALIGNMENT`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.areas.iter().map(|(_, area)| *area)
    }

    /// Makes room for the list. `None` when there is nothing to list.
    pub(crate) fn reserve(&self, buffer: &mut MemoryWriter) -> Result<Option<ReservedList>, FormatError> {
        if self.areas.is_empty() {
            return Ok(None);
        }
        buffer.align(8);
        let start = buffer.position();
        buffer.write(ListHeader {
            size_of_header: count(size_of_encoded::<ListHeader>())?,
            size_of_entry: count(size_of_encoded::<XsaveArea>())?,
            number_of_entries: count(self.areas.len())?,
            reserved: 0,
        })?;
        let array = buffer.reserve_array(self.areas.len())?;
        Ok(Some(ReservedList { array, location: buffer.location_since(start)? }))
    }

    /// Writes the list, now that it is known that the areas begin at offset `start`.
    pub(crate) fn fill(
        &self,
        list: &ReservedList,
        start: u64,
        buffer: &mut MemoryWriter,
    ) -> Result<MDRawDirectory, FormatError> {
        let mut offset = start;
        for (index, (thread_id, bytes)) in self.areas.iter().enumerate() {
            let area = location(offset, bytes.len() as u64)?;
            buffer.fill(&list.array, index, XsaveArea { thread_id: *thread_id, reserved: 0, area })?;
            offset = offset.saturating_add(padded(bytes));
        }
        Ok(MDRawDirectory { stream_type: XSAVE_LIST_STREAM, location: list.location })
    }
}

/// Room for the list of areas, and where it lies.
#[derive(Debug)]
pub(crate) struct ReservedList {
    array: ReservedArray<XsaveArea>,
    location: MINIDUMP_LOCATION_DESCRIPTOR,
}

fn extended_area(thread: &Thread) -> Option<&[u8]> {
    let area = match thread.cpu.as_ref()? {
        CpuState::Amd64(state) => state.xsave.as_slice(),
        CpuState::X86(state) => state.xsave.as_slice(),
        _ => return None,
    };
    Some(area).filter(|area| area.len() > LEGACY_SIZE)
}

fn padded(area: &[u8]) -> u64 {
    (area.len() as u64).next_multiple_of(AREA_ALIGNMENT)
}
