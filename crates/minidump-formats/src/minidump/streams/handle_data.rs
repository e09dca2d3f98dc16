use super::names::Names;
use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MINIDUMP_HANDLE_DATA_STREAM, MINIDUMP_HANDLE_DESCRIPTOR, MINIDUMP_STREAM_TYPE,
};
use minidump_snapshot::{HandleKind, Snapshot};

/// Open files. `Attributes` holds the mode bits, `GrantedAccess` the open flags; zero when unknown.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_handle_descriptor>.
/// The first version of the descriptor is used: the second only adds object information that Linux does not have.
pub(crate) struct HandleDataSection<'a>(pub &'a Snapshot);

fn type_name(kind: HandleKind) -> &'static str {
    match kind {
        HandleKind::File => "File",
        HandleKind::Directory => "Directory",
        HandleKind::SymbolicLink => "SymbolicLink",
        HandleKind::CharacterDevice => "CharacterDevice",
        HandleKind::BlockDevice => "BlockDevice",
        HandleKind::Fifo => "Fifo",
        HandleKind::Socket => "Socket",
        HandleKind::Anonymous => "Anonymous",
        _ => "Unknown",
    }
}

impl SectionWriter for HandleDataSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let handles = &self.0.handles;
        buffer.align(8);
        let start = buffer.position();
        buffer.write(MINIDUMP_HANDLE_DATA_STREAM {
            size_of_header: count(size_of_encoded::<MINIDUMP_HANDLE_DATA_STREAM>())?,
            size_of_descriptor: count(size_of_encoded::<MINIDUMP_HANDLE_DESCRIPTOR>())?,
            number_of_descriptors: count(handles.len())?,
            reserved: 0,
        })?;
        let list = buffer.reserve_array(handles.len())?;
        let location = buffer.location_since(start)?;
        let mut type_names = Names::default();
        for (index, handle) in handles.iter().enumerate() {
            let descriptor = MINIDUMP_HANDLE_DESCRIPTOR {
                handle: handle.value,
                type_name_rva: type_names.rva(buffer, type_name(handle.kind))?,
                object_name_rva: buffer.write_string(&handle.target)?,
                attributes: handle.mode.unwrap_or(0),
                granted_access: handle.open_flags.unwrap_or(0),
                handle_count: 0,
                pointer_count: 0,
            };
            buffer.fill(&list, index, descriptor)?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::HandleDataStream.into()
    }

    fn size_hint(&self) -> usize {
        self.0.handles.iter().map(|handle| 48 + 2 * handle.target.len()).sum::<usize>() + 320
    }
}
