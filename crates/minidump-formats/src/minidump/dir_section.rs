use super::{FormatError, MDRawDirectory, MemoryWriter, ReservedArray};
use minidump_common::format::{MINIDUMP_HEADER, MINIDUMP_SIGNATURE, MINIDUMP_VERSION};

/// Header and directory of the file, with a slot for each section.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_header>.
#[derive(Debug)]
pub struct DirSection {
    header: ReservedArray<MINIDUMP_HEADER>,
    directory: ReservedArray<MDRawDirectory>,
    directory_rva: u32,
    used: usize,
}

impl DirSection {
    /// Appends room for the header and for a directory of `slots` entries to the empty `buffer`.
    ///
    /// # Errors
    /// They do not fit the file.
    pub fn new(buffer: &mut MemoryWriter, slots: usize) -> Result<Self, FormatError> {
        let header = buffer.reserve_array(1)?;
        let start = buffer.position();
        let directory = buffer.reserve_array(slots)?;
        let directory_rva = buffer.location_since(start)?.rva;
        Ok(Self { header, directory, directory_rva, used: 0 })
    }

    /// Enters a section.
    ///
    /// # Errors
    /// All slots are used.
    pub fn push(&mut self, buffer: &mut MemoryWriter, entry: MDRawDirectory) -> Result<(), FormatError> {
        buffer.fill(&self.directory, self.used, entry)?;
        self.used += 1;
        Ok(())
    }

    /// Writes the header. `time_date_stamp` is in seconds since 1970, `flags` are bits of `MINIDUMP_TYPE`. Slots that
    /// were not used are no part of the directory.
    ///
    /// # Errors
    /// The header cannot be encoded.
    pub fn finish(
        self,
        buffer: &mut MemoryWriter,
        time_date_stamp: u32,
        flags: u64,
    ) -> Result<(), FormatError> {
        let header = MINIDUMP_HEADER {
            signature: MINIDUMP_SIGNATURE,
            version: MINIDUMP_VERSION,
            stream_count: super::memory_writer::count(self.used)?,
            stream_directory_rva: self.directory_rva,
            checksum: 0,
            time_date_stamp,
            flags,
        };
        buffer.fill(&self.header, 0, header)
    }
}
