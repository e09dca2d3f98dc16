//! `CodeView` records: which build of a module it is.

use crate::minidump::{FormatError, MemoryWriter};
use minidump_common::format::{CvSignature, GUID, MINIDUMP_LOCATION_DESCRIPTOR};
use minidump_snapshot::{Module, ModuleId, PeImage};

/// Longest record. The Breakpad processor refuses the whole list of modules for a longer one
/// (`MinidumpModule::max_cv_bytes_`).
const LONGEST: usize = 32 << 10;

/// Appends the record of `module`; none when it is not known. Of an image of Windows it is as it is in the image.
pub(super) fn write(
    buffer: &mut MemoryWriter,
    module: &Module,
    image: Option<&PeImage>,
) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
    let raw = image.map(|image| image.code_view.as_slice());
    if let Some(raw) = raw.filter(|raw| (1..=LONGEST).contains(&raw.len())) {
        buffer.align(4);
        return buffer.write_bytes(raw);
    }
    match &module.id {
        Some(ModuleId::Uuid(uuid)) if uuid.iter().any(|byte| *byte != 0) => {
            write_rsds(buffer, guid_of_uuid(*uuid), 0, file_name(&module.path))
        }
        Some(ModuleId::Uuid(_)) | None => Ok(MINIDUMP_LOCATION_DESCRIPTOR::default()),
        // The name of the database is not known.
        Some(ModuleId::Pdb { guid, age }) => write_rsds(buffer, guid_in_file(*guid), *age, b""),
        Some(id) => write_bpel(buffer, id.as_bytes()),
    }
}

/// A UUID as a GUID, whose first three fields are little-endian numbers in the file.
fn guid_of_uuid(uuid: [u8; 16]) -> GUID {
    let [a0, a1, a2, a3, b0, b1, c0, c1, data4 @ ..] = uuid;
    GUID {
        data1: u32::from_be_bytes([a0, a1, a2, a3]),
        data2: u16::from_be_bytes([b0, b1]),
        data3: u16::from_be_bytes([c0, c1]),
        data4,
    }
}

/// A GUID whose bytes are in the order of the file already.
fn guid_in_file(bytes: [u8; 16]) -> GUID {
    let [a0, a1, a2, a3, b0, b1, c0, c1, data4 @ ..] = bytes;
    GUID {
        data1: u32::from_le_bytes([a0, a1, a2, a3]),
        data2: u16::from_le_bytes([b0, b1]),
        data3: u16::from_le_bytes([c0, c1]),
        data4,
    }
}

/// The last part of a path of Apple's systems.
fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Appends the record `RSDS`: a GUID, the age, and a file's name, ended by a zero.
fn write_rsds(
    buffer: &mut MemoryWriter,
    guid: GUID,
    age: u32,
    name: &[u8],
) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
    buffer.align(4);
    let start = buffer.position();
    buffer.write(CvSignature::Pdb70 as u32)?;
    buffer.write(guid)?;
    buffer.write(age)?;
    buffer.write_bytes(String::from_utf8_lossy(name).replace('\0', "\u{fffd}").as_bytes())?;
    buffer.write(0_u8)?;
    buffer.location_since(start)
}

/// Appends the record `BpEL`: the signature, then the bytes of the id.
fn write_bpel(buffer: &mut MemoryWriter, bytes: &[u8]) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
    if bytes.is_empty() {
        return Ok(MINIDUMP_LOCATION_DESCRIPTOR::default());
    }
    buffer.align(4);
    let start = buffer.position();
    buffer.write(CvSignature::Elf as u32)?;
    buffer.write_bytes(bytes)?;
    buffer.location_since(start)
}
