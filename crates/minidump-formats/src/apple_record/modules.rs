//! Modules: what neither a module list nor the note "all image infos" has a field for.

use super::bytes::{Decoder, Encoder};
use super::images::ListedImage;
use minidump_snapshot::{FileVersion, Module, ModuleId, Snapshot};
use std::collections::HashMap;

/// Most modules that are read.
const MAX_MODULES: usize = 1 << 16;
/// Longest path of which a module list keeps all, in bytes. In the note about images a path ends before `PATH_MAX`.
const LONGEST_LISTED: usize = 1024;
const LONGEST_IN_NOTE: usize = 1023;

/// Bits of what is told of a module, and where: the path is not told elsewhere, the UUID is told elsewhere or here, the name
/// of a library is its path or another one, there is a version.
const PATH: u64 = 1;
const UUID_IS_LISTED: u64 = 1 << 1;
const UUID: u64 = 1 << 2;
const NAME_IS_PATH: u64 = 1 << 3;
const NAME: u64 = 1 << 4;
const VERSION: u64 = 1 << 5;
const MAIN: u64 = 1 << 6;
const DELETED: u64 = 1 << 7;

/// A module without what the rest of the file tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleRecord {
    /// The path is empty where it is told elsewhere.
    module: Module,
    path_is_told: bool,
    name_is_path: bool,
    uuid_is_listed: bool,
}

/// All modules, beside the note "all image infos" if there `is_listed`.
pub(super) fn beside_commands(modules: &[Module], is_listed: bool) -> Encoder {
    let mut to = Encoder::default();
    to.count(modules.len());
    let mut before = 0;
    for module in modules {
        let path_is_told = is_listed && is_in_note(&module.path);
        let uuid_is_listed = is_listed && matches!(module.id, Some(ModuleId::Uuid(uuid)) if uuid != [0; 16]);
        encode(module, path_is_told, uuid_is_listed, before, &mut to);
        before = module.base;
    }
    to
}

/// What a module list does not tell: names of libraries, odd paths, which is the main one.
pub(super) fn beside_streams(modules: &[Module]) -> Encoder {
    let mut to = Encoder::default();
    to.count(modules.len());
    let mut before = 0;
    for module in modules {
        let told = Module { size: 0, version: None, id: None, deleted: false, ..module.clone() };
        let path_is_told = module.path.len() <= LONGEST_LISTED && std::str::from_utf8(&module.path).is_ok();
        encode(&told, path_is_told, false, before, &mut to);
        before = module.base;
    }
    to
}

/// Whether a path comes back from the note about images.
fn is_in_note(path: &[u8]) -> bool {
    !path.is_empty() && path.len() <= LONGEST_IN_NOTE && !path.contains(&0)
}

fn encode(module: &Module, path_is_told: bool, uuid_is_listed: bool, before: u64, to: &mut Encoder) {
    let uuid = match &module.id {
        Some(ModuleId::Uuid(uuid)) if !uuid_is_listed => Some(uuid),
        _ => None,
    };
    let name = module.soname.as_deref();
    let name_is_path = name.is_some_and(|name| name.as_bytes() == module.path);
    let bits = [
        (!path_is_told, PATH),
        (uuid_is_listed, UUID_IS_LISTED),
        (uuid.is_some(), UUID),
        (name_is_path, NAME_IS_PATH),
        (name.is_some() && !name_is_path, NAME),
        (module.version.is_some(), VERSION),
        (module.is_main, MAIN),
        (module.deleted, DELETED),
    ];
    to.signed(module.base.wrapping_sub(before));
    to.number(module.size);
    to.number(bits.iter().filter(|(is_set, _)| *is_set).fold(0, |all, (_, bit)| all | bit));
    if !path_is_told {
        to.bytes(&module.path);
    }
    if let Some(uuid) = uuid {
        to.raw(uuid);
    }
    if let Some(name) = name.filter(|_| !name_is_path) {
        to.bytes(name.as_bytes());
    }
    if let Some(FileVersion { major, minor, patch, build }) = module.version {
        for part in [major, minor, patch, build] {
            to.number(part);
        }
    }
}

pub(super) fn read(from: &mut Decoder<'_>) -> Option<Vec<ModuleRecord>> {
    let mut before = 0_u64;
    from.list(MAX_MODULES, |from| {
        let record = record(from, before)?;
        before = record.module.base;
        Some(record)
    })
}

fn record(from: &mut Decoder<'_>, before: u64) -> Option<ModuleRecord> {
    let base = before.wrapping_add(from.signed()?);
    let (size, bits) = (from.number()?, from.number()?);
    let has = |bit: u64| bits & bit != 0;
    let path = if has(PATH) { from.bytes()?.to_vec() } else { Vec::new() };
    let uuid = if has(UUID) { Some(from.array()?) } else { None };
    let soname = if has(NAME) { Some(from.text()?) } else { None };
    let mut version = || {
        let (major, minor, patch) = (from.small()?, from.small()?, from.small()?);
        Some(FileVersion { major, minor, patch, build: from.small()? })
    };
    let version = if has(VERSION) { Some(version()?) } else { None };
    let (id, is_main, deleted) = (uuid.map(ModuleId::Uuid), has(MAIN), has(DELETED));
    Some(ModuleRecord {
        module: Module { base, size, path, soname, version, id, is_main, deleted },
        path_is_told: !has(PATH),
        name_is_path: has(NAME_IS_PATH),
        uuid_is_listed: has(UUID_IS_LISTED),
    })
}

/// Completes the modules at the same addresses.
pub(super) fn restore(records: Vec<ModuleRecord>, snapshot: &mut Snapshot) {
    let mut records: HashMap<u64, ModuleRecord> =
        records.into_iter().map(|record| (record.module.base, record)).collect();
    for module in &mut snapshot.modules {
        module.is_main = false;
        let Some(record) = records.remove(&module.base) else { continue };
        if !record.path_is_told {
            module.path = record.module.path;
        }
        let path = || std::str::from_utf8(&module.path).ok().map(str::to_owned);
        module.soname = if record.name_is_path { path() } else { record.module.soname };
        module.is_main = record.module.is_main;
    }
}

impl ModuleRecord {
    pub(super) fn base(&self) -> u64 {
        self.module.base
    }

    /// The module with what the note about images tells of it.
    pub(super) fn module(self, listed: Option<&ListedImage>) -> Module {
        let mut module = self.module;
        if let Some(listed) = listed.filter(|_| self.path_is_told) {
            module.path.clone_from(&listed.path);
        }
        if let Some(listed) = listed.filter(|_| self.uuid_is_listed) {
            module.id = Some(ModuleId::Uuid(listed.uuid));
        }
        if self.name_is_path {
            module.soname = std::str::from_utf8(&module.path).ok().map(str::to_owned);
        }
        module
    }
}
