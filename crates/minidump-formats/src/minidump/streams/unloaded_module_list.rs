use super::names::Names;
use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{MINIDUMP_STREAM_TYPE, MINIDUMP_UNLOADED_MODULE};
use minidump_snapshot::UnloadedModule;

/// Size in bytes of the three u32 of `MINIDUMP_UNLOADED_MODULE_LIST`.
const HEADER_SIZE: u32 = 12;

/// Modules that are loaded no more, in the order of the snapshot: what a return address into one of them points to.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_unloaded_module_list>.
pub(crate) struct UnloadedModuleListSection<'a>(pub &'a [UnloadedModule]);

impl SectionWriter for UnloadedModuleListSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(8);
        let start = buffer.position();
        buffer.write(HEADER_SIZE)?;
        buffer.write(count(size_of_encoded::<MINIDUMP_UNLOADED_MODULE>())?)?;
        buffer.write(count(self.0.len())?)?;
        let list = buffer.reserve_array(self.0.len())?;
        let location = buffer.location_since(start)?;
        let mut names = Names::default();
        for (index, module) in self.0.iter().enumerate() {
            let raw = MINIDUMP_UNLOADED_MODULE {
                base_of_image: module.base,
                size_of_image: u32::try_from(module.size).unwrap_or(u32::MAX),
                checksum: module.check_sum,
                time_date_stamp: module.time_stamp,
                module_name_rva: names.rva(buffer, &module.name)?,
            };
            buffer.fill(&list, index, raw)?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::UnloadedModuleListStream.into()
    }

    fn size_hint(&self) -> usize {
        self.0.iter().map(|module| 40 + 2 * module.name.len()).sum::<usize>() + 16
    }
}
