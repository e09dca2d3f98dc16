use super::{FormatError, HOLE_TABLE_STREAM, MDRawDirectory, MemoryWriter};
use scroll::{Pread, Pwrite, SizeWith};

/// Memory that the plan promised and that could not be read. The file has zeros in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// First address.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
}

/// The stream [`HOLE_TABLE_STREAM`], 24 bytes. The table itself is the end of the file, because holes are known only
/// when all memory has been read, and its offset has 64 bits, because the memory may be larger than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pread, Pwrite, SizeWith)]
pub struct HoleLocator {
    /// Size of this structure in bytes.
    pub size_of_info: u32,
    /// Size of a [`HoleEntry`] in bytes.
    pub size_of_entry: u32,
    /// Offset in the file of the table: a [`HoleTableHeader`], then `capacity` entries.
    pub table_offset: u64,
    /// Number of entries the table has room for. Those without a hole are zero.
    pub capacity: u32,
    /// Zero.
    pub reserved: u32,
}

/// Start of the table of holes, 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pread, Pwrite, SizeWith)]
pub struct HoleTableHeader {
    /// Number of holes, also of those that the table had no room for.
    pub total_holes: u64,
    /// Bytes in all holes together.
    pub total_bytes: u64,
}

/// An entry of the table of holes, 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pread, Pwrite, SizeWith)]
pub struct HoleEntry {
    /// First address.
    pub address: u64,
    /// Size in bytes.
    pub size: u64,
}

/// Writes the stream that tells where the table lies.
pub(crate) fn write_locator(
    buffer: &mut MemoryWriter,
    table_offset: u64,
    capacity: u32,
) -> Result<MDRawDirectory, FormatError> {
    let locator = HoleLocator { size_of_info: 24, size_of_entry: 16, table_offset, capacity, reserved: 0 };
    Ok(MDRawDirectory { stream_type: HOLE_TABLE_STREAM, location: buffer.write(locator)? })
}

/// Collects holes while memory is read. It keeps the first `capacity` of them and counts all.
#[derive(Debug)]
pub(crate) struct HoleLog {
    capacity: usize,
    kept: Vec<Hole>,
    /// First address behind the latest hole, to join what is adjacent.
    latest_end: Option<u64>,
    count: u64,
    bytes: u64,
}

impl HoleLog {
    pub(crate) fn new(capacity: u32) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self { capacity, kept: Vec::new(), latest_end: None, count: 0, bytes: 0 }
    }

    /// Notes a hole. One that begins where the latest one ended is a part of it.
    pub(crate) fn add(&mut self, address: u64, size: u64) {
        self.bytes = self.bytes.saturating_add(size);
        let adjacent = self.latest_end == Some(address);
        self.latest_end = address.checked_add(size);
        if adjacent {
            // Beyond the capacity the latest hole is not the latest kept one.
            let latest =
                self.kept.last_mut().filter(|hole| hole.address.checked_add(hole.size) == Some(address));
            if let Some(hole) = latest {
                hole.size = hole.size.saturating_add(size);
            }
            return;
        }
        self.count = self.count.saturating_add(1);
        if self.kept.len() < self.capacity {
            self.kept.push(Hole { address, size });
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn into_holes(self) -> Vec<Hole> {
        self.kept
    }

    /// The table, with room for `capacity` entries.
    pub(crate) fn table(&self, capacity: u32) -> Result<Vec<u8>, FormatError> {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        let mut buffer = MemoryWriter::with_capacity(capacity.saturating_mul(16).saturating_add(16));
        buffer.write(HoleTableHeader { total_holes: self.count, total_bytes: self.bytes })?;
        let entries = buffer.reserve_array::<HoleEntry>(capacity)?;
        for (index, hole) in self.kept.iter().take(capacity).enumerate() {
            buffer.fill(&entries, index, HoleEntry { address: hole.address, size: hole.size })?;
        }
        Ok(buffer.into_parts().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_holes_are_one() {
        let mut log = HoleLog::new(4);
        log.add(0x1000, 0x1000);
        log.add(0x2000, 0x800);
        log.add(0x3000, 0x10);
        assert_eq!((log.count(), log.bytes()), (2, 0x1810));
        let expected = [Hole { address: 0x1000, size: 0x1800 }, Hole { address: 0x3000, size: 0x10 }];
        assert_eq!(log.into_holes(), expected);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut log = HoleLog::new(1);
        log.add(0x1000, 1);
        log.add(0x2000, 2);
        log.add(0x2002, 2);
        log.add(0x1001, 4);
        assert_eq!((log.count(), log.bytes()), (3, 9));
        let table = log.table(1).unwrap();
        let mut expected = Vec::new();
        for value in [3_u64, 9, 0x1000, 1] {
            expected.extend_from_slice(&value.to_le_bytes());
        }
        assert_eq!(table, expected);
        assert_eq!(log.into_holes(), [Hole { address: 0x1000, size: 1 }]);
    }

    #[test]
    fn unused_entries_are_zero() {
        let table = HoleLog::new(2).table(2).unwrap();
        assert_eq!(table, vec![0; 48]);
    }
}
