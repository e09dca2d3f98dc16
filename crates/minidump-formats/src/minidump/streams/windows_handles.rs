use super::names::Names;
use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MINIDUMP_HANDLE_DATA_STREAM, MINIDUMP_HANDLE_DESCRIPTOR, MINIDUMP_STREAM_TYPE,
};
use minidump_snapshot::WindowsHandle;

/// Open handles of a process of Windows. The offset of a name that is not known, or that the object has not, is zero.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_handle_descriptor>.
/// The first version of the descriptor is used: the second only adds facts of single kinds of objects.
pub(crate) struct WindowsHandlesSection<'a>(pub &'a [WindowsHandle]);

impl<'a> SectionWriter for WindowsHandlesSection<'a> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(8);
        let start = buffer.position();
        buffer.write(MINIDUMP_HANDLE_DATA_STREAM {
            size_of_header: count(size_of_encoded::<MINIDUMP_HANDLE_DATA_STREAM>())?,
            size_of_descriptor: count(size_of_encoded::<MINIDUMP_HANDLE_DESCRIPTOR>())?,
            number_of_descriptors: count(self.0.len())?,
            reserved: 0,
        })?;
        let list = buffer.reserve_array(self.0.len())?;
        let location = buffer.location_since(start)?;
        let mut names = Names::default();
        for (index, handle) in self.0.iter().enumerate() {
            let type_name = Some(handle.type_name.as_str()).filter(|name| !name.is_empty());
            let mut rva = |name: Option<&'a str>| name.map_or(Ok(0), |name| names.rva(buffer, name));
            let descriptor = MINIDUMP_HANDLE_DESCRIPTOR {
                handle: handle.value,
                type_name_rva: rva(type_name)?,
                object_name_rva: rva(handle.name.as_deref())?,
                attributes: handle.attributes,
                granted_access: handle.granted_access,
                handle_count: handle.handle_count,
                pointer_count: handle.pointer_count,
            };
            buffer.fill(&list, index, descriptor)?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::HandleDataStream.into()
    }

    fn size_hint(&self) -> usize {
        let names = self.0.iter().filter_map(|handle| handle.name.as_ref()).map(|name| 8 + 2 * name.len());
        names.fold(self.0.len().saturating_mul(32), usize::saturating_add).saturating_add(320)
    }
}
