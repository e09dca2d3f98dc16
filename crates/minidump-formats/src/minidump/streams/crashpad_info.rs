use crate::minidump::memory_writer::count;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    GUID, MINIDUMP_CRASHPAD_INFO, MINIDUMP_LOCATION_DESCRIPTOR, MINIDUMP_SIMPLE_STRING_DICTIONARY_ENTRY,
    MINIDUMP_STREAM_TYPE, RVA,
};
use scroll::{Pwrite, SizeWith};

/// What the application says about itself, as Crashpad stores it: pairs of UTF-8 strings, in the order of the
/// snapshot. Report id, client id and annotations of modules are not known and zero.
///
/// With an address mask the structure has 64 bytes instead of 52.
///
/// Source: <https://crashpad.chromium.org/doxygen/structcrashpad_1_1MinidumpCrashpadInfo.html>.
pub(crate) struct CrashpadInfoSection<'a> {
    /// Keys and values.
    pub annotations: &'a [(String, String)],
    /// The bits of a pointer that are no part of the address: readers take them away.
    pub address_mask: Option<u64>,
}

/// What came behind version 1 without raising it: a reserved word and the address mask.
#[derive(Debug, Clone, Copy, Pwrite, SizeWith)]
struct AddressMask {
    reserved: u32,
    address_mask: u64,
}

impl CrashpadInfoSection<'_> {
    fn write_dictionary(
        &self,
        buffer: &mut MemoryWriter,
    ) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
        buffer.align(4);
        let start = buffer.position();
        buffer.write(count(self.annotations.len())?)?;
        let entries = buffer.reserve_array(self.annotations.len())?;
        let location = buffer.location_since(start)?;
        for (index, (key, value)) in self.annotations.iter().enumerate() {
            let (key, value) = (write_utf8(buffer, key)?, write_utf8(buffer, value)?);
            buffer.fill(&entries, index, MINIDUMP_SIMPLE_STRING_DICTIONARY_ENTRY { key, value })?;
        }
        Ok(location)
    }
}

/// Appends a `MinidumpUTF8String`: length in bytes as u32, the bytes, a terminating zero that the length does not
/// count. Returns its offset.
fn write_utf8(buffer: &mut MemoryWriter, text: &str) -> Result<RVA, FormatError> {
    buffer.align(4);
    let location = buffer.write(count(text.len())?)?;
    buffer.write_bytes(text.as_bytes())?;
    buffer.write(0_u8)?;
    Ok(location.rva)
}

impl SectionWriter for CrashpadInfoSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        const UNKNOWN: GUID = GUID { data1: 0, data2: 0, data3: 0, data4: [0; 8] };
        buffer.align(4);
        let start = buffer.position();
        let slot = buffer.reserve_array(1)?;
        if let Some(address_mask) = self.address_mask {
            buffer.write(AddressMask { reserved: 0, address_mask })?;
        }
        let location = buffer.location_since(start)?;
        let info = MINIDUMP_CRASHPAD_INFO {
            version: MINIDUMP_CRASHPAD_INFO::VERSION,
            report_id: UNKNOWN,
            client_id: UNKNOWN,
            simple_annotations: self.write_dictionary(buffer)?,
            module_list: MINIDUMP_LOCATION_DESCRIPTOR::default(),
        };
        buffer.fill(&slot, 0, info)?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::CrashpadInfoStream.into()
    }

    fn size_hint(&self) -> usize {
        let texts = self.annotations.iter().map(|(key, value)| 8 + 16 + key.len() + value.len());
        texts.sum::<usize>() + 72
    }
}
