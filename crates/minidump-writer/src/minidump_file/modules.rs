//! The list of modules.

use super::streams::Streams;
use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::{FileVersion, Module, ModuleId, OperatingSystem};

const MODULE_LIST: u32 = 4;
/// Size in bytes of `MINIDUMP_MODULE`.
const MODULE_SIZE: usize = 108;
/// Most modules that are read.
const MAX_MODULES: usize = 1 << 16;
/// Longest record that tells an id.
const MAX_RECORD: u32 = 1024;
/// `BpEL`: the bytes of the id follow.
const ELF_RECORD: u32 = 0x4270_454c;
/// `RSDS`: a GUID, an age and a name follow.
const PDB_RECORD: u32 = 0x5344_5352;
/// `VS_FIXEDFILEINFO::dwSignature`.
const VERSION_SIGNATURE: u32 = 0xfeef_04bd;

/// The modules by address, without those that overlap one before them. The main one is the first in the list.
pub fn modules(streams: &Streams<'_>, os: OperatingSystem) -> Vec<Module> {
    let list = streams.list(MODULE_LIST, MODULE_SIZE);
    let raw = list.iter().take(MAX_MODULES).enumerate();
    let mut modules: Vec<Module> =
        raw.filter_map(|(index, raw)| module(streams, raw, os, index == 0)).collect();
    modules.sort_by_key(|module| module.base);
    let mut floor = 0;
    modules.retain(|module| {
        let is_free = module.base >= floor;
        floor = if is_free { module.base.saturating_add(module.size) } else { floor };
        is_free
    });
    modules
}

fn module(streams: &Streams<'_>, raw: &[u8], os: OperatingSystem, is_main: bool) -> Option<Module> {
    let word = |offset| u32_at(raw, offset).unwrap_or(0);
    let fields = [word(32), word(36), word(40), word(44)];
    let is_apple = matches!(os, OperatingSystem::MacOs | OperatingSystem::Ios);
    let version = if is_apple { mach_version(fields) } else { elf_version(fields) };
    let version = Some(version).filter(|_| word(24) == VERSION_SIGNATURE);
    let record = streams.at(word(80), word(76), MAX_RECORD).unwrap_or_default();
    Some(Module {
        base: u64_at(raw, 0)?,
        size: u64::from(word(8)),
        path: streams.string(word(20).into()).unwrap_or_default().into_bytes(),
        soname: None,
        version,
        id: id(&record, is_apple),
        is_main,
        deleted: false,
    })
    .filter(|module| module.size > 0)
}

/// The id in a `CodeView` record. `None` when there is none, or it is nothing but zeros as some writers have it.
fn id(record: &[u8], is_apple: bool) -> Option<ModuleId> {
    let (signature, id) = (u32_at(record, 0)?, record.get(4..)?);
    match signature {
        // LLDB writes the UUID of a Mach-O image as it writes a build id.
        ELF_RECORD if is_apple => {
            let uuid = <[u8; 16]>::try_from(id).ok()?;
            uuid.iter().any(|byte| *byte != 0).then_some(ModuleId::Uuid(uuid))
        }
        ELF_RECORD if !id.is_empty() => Some(ModuleId::BuildId(id.to_vec())),
        PDB_RECORD => {
            let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = *id.first_chunk::<16>()?;
            let [d0, d1, d2, d3, d4, d5, d6, d7] = rest;
            let uuid = [a3, a2, a1, a0, b1, b0, c1, c0, d0, d1, d2, d3, d4, d5, d6, d7];
            uuid.iter().any(|byte| *byte != 0).then_some(ModuleId::Uuid(uuid))
        }
        _ => None,
    }
}

fn elf_version([major, minor, patch, build]: [u32; 4]) -> FileVersion {
    FileVersion { major, minor, patch, build }
}

/// A version that Breakpad packed has nothing in the upper half of its first field; of one by Crashpad each half of the
/// first two fields is a part.
fn mach_version([high, low, ..]: [u32; 4]) -> FileVersion {
    let halves = |field: u32| (field >> 16, field & 0xffff);
    match (halves(high), halves(low)) {
        ((0, major), (minor, patch)) => FileVersion { major, minor, patch, build: 0 },
        ((major, minor), (patch, build)) => FileVersion { major, minor, patch, build },
    }
}
