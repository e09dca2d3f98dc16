use super::cv_record;
use crate::minidump::memory_writer::count;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MINIDUMP_MODULE, MINIDUMP_STREAM_TYPE, RVA, VS_FFI_SIGNATURE, VS_FFI_STRUCVERSION, VS_FIXEDFILEINFO,
};
use minidump_snapshot::{FileVersion, Module, OperatingSystem, Snapshot};

/// Longest module name, in UTF-16 code units. The Breakpad processor refuses the whole list for a longer one
/// (`Minidump::max_string_length_`).
const NAME_LIMIT: usize = 1024;

/// Loaded images: the program, which readers take the first one to be, then the others by ascending base address.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_module>.
pub(crate) struct ModuleListSection<'a>(pub &'a Snapshot);

/// The version as readers take it for ELF modules: one 32-bit field per part. Zero, signature included, when there is
/// none.
fn version_info(version: Option<FileVersion>) -> VS_FIXEDFILEINFO {
    let Some(version) = version else { return VS_FIXEDFILEINFO::default() };
    VS_FIXEDFILEINFO {
        signature: VS_FFI_SIGNATURE,
        struct_version: VS_FFI_STRUCVERSION,
        file_version_hi: version.major,
        file_version_lo: version.minor,
        product_version_hi: version.patch,
        product_version_lo: version.build,
        ..VS_FIXEDFILEINFO::default()
    }
}

/// The version of a Mach-O library, `X.Y.Z`, as Breakpad has it: X in the first field, Y and Z are the halves of the
/// second. Readers show `0.X.Y.Z`.
fn mach_version_info(version: Option<FileVersion>) -> VS_FIXEDFILEINFO {
    let Some(version) = version else { return VS_FIXEDFILEINFO::default() };
    let half = |part: u32| part.min(0xffff);
    VS_FIXEDFILEINFO {
        signature: VS_FFI_SIGNATURE,
        struct_version: VS_FFI_STRUCVERSION,
        file_version_hi: half(version.major),
        file_version_lo: half(version.minor) << 16 | half(version.patch),
        ..VS_FIXEDFILEINFO::default()
    }
}

/// The name. Of one that is too long the end is kept, which tells the file.
fn name_units(path: &[u8]) -> Vec<u16> {
    let units: Vec<u16> = String::from_utf8_lossy(path).encode_utf16().collect();
    let mut cut = units.len().saturating_sub(NAME_LIMIT);
    // Half a surrogate pair would make the name unreadable.
    if cut > 0 && units.get(cut).is_some_and(|unit| (0xdc00..=0xdfff).contains(unit)) {
        cut += 1;
    }
    units.get(cut..).unwrap_or_default().to_vec()
}

fn write_name(buffer: &mut MemoryWriter, path: &[u8]) -> Result<RVA, FormatError> {
    // There are never more units than bytes.
    if path.len() <= NAME_LIMIT { buffer.write_string(path) } else { buffer.write_units(&name_units(path)) }
}

/// The version of a PE image in its halves of 16 bits, when nothing but the number is known.
fn pe_version_info(version: Option<FileVersion>) -> VS_FIXEDFILEINFO {
    let Some(version) = version else { return VS_FIXEDFILEINFO::default() };
    let half = |part: u32| part.min(0xffff);
    VS_FIXEDFILEINFO {
        signature: VS_FFI_SIGNATURE,
        struct_version: VS_FFI_STRUCVERSION,
        file_version_hi: half(version.major) << 16 | half(version.minor),
        file_version_lo: half(version.patch) << 16 | half(version.build),
        ..VS_FIXEDFILEINFO::default()
    }
}

/// The version resource of a PE image, all of it.
fn fixed_file_info(words: [u32; 13]) -> VS_FIXEDFILEINFO {
    let [signature, struct_version, file_hi, file_lo, product_hi, product_lo, mask, flags, kind @ ..] = words;
    let [file_os, file_type, file_subtype, file_date_hi, file_date_lo] = kind;
    VS_FIXEDFILEINFO {
        signature,
        struct_version,
        file_version_hi: file_hi,
        file_version_lo: file_lo,
        product_version_hi: product_hi,
        product_version_lo: product_lo,
        file_flags_mask: mask,
        file_flags: flags,
        file_os,
        file_type,
        file_subtype,
        file_date_hi,
        file_date_lo,
    }
}

fn raw(
    buffer: &mut MemoryWriter,
    module: &Module,
    snapshot: &Snapshot,
) -> Result<MINIDUMP_MODULE, FormatError> {
    let image = snapshot.windows.as_ref().and_then(|facts| facts.image_at(module.base));
    let version_info = match snapshot.system.os {
        OperatingSystem::MacOs | OperatingSystem::Ios => mach_version_info(module.version),
        OperatingSystem::Windows => image
            .and_then(|image| image.version_info)
            .map_or_else(|| pe_version_info(module.version), fixed_file_info),
        _ => version_info(module.version),
    };
    Ok(MINIDUMP_MODULE {
        base_of_image: module.base,
        size_of_image: u32::try_from(module.size).unwrap_or(u32::MAX),
        checksum: image.map_or(0, |image| image.check_sum),
        time_date_stamp: image.map_or(0, |image| image.time_stamp),
        module_name_rva: write_name(buffer, &module.path)?,
        version_info,
        cv_record: cv_record::write(buffer, module, image)?,
        ..MINIDUMP_MODULE::default()
    })
}

impl SectionWriter for ModuleListSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        buffer.align(4);
        let start = buffer.position();
        buffer.write(count(self.0.modules.len())?)?;
        let list = buffer.reserve_array(self.0.modules.len())?;
        let location = buffer.location_since(start)?;
        let program = self.0.modules.iter().filter(|module| module.is_main);
        let others = self.0.modules.iter().filter(|module| !module.is_main);
        for (index, module) in program.chain(others).enumerate() {
            let raw = raw(buffer, module, self.0)?;
            buffer.fill(&list, index, raw)?;
        }
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::ModuleListStream.into()
    }

    fn size_hint(&self) -> usize {
        self.0.modules.iter().map(|module| 160 + 2 * module.path.len()).sum::<usize>() + 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_too_long_for_readers_keeps_its_end() {
        let mut path = vec![b'a'; 2000];
        path.extend_from_slice(b"/libx.so");
        let units = name_units(&path);
        assert_eq!(units.len(), NAME_LIMIT);
        assert!(String::from_utf16(&units).unwrap().ends_with("a/libx.so"));
        assert_eq!(name_units(b"/bin/true").len(), 9);
    }

    #[test]
    fn a_name_is_never_cut_inside_a_character() {
        let path = "\u{1f980}".repeat(513) + "a";
        let units = name_units(path.as_bytes());
        assert_eq!(String::from_utf16(&units).unwrap(), "\u{1f980}".repeat(511) + "a");
    }
}
