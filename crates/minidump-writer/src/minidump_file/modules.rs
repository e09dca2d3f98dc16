//! The list of modules.

use super::streams::Streams;
use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::{FileVersion, Module, ModuleId};

const MODULE_LIST: u32 = 4;
/// Size in bytes of `MINIDUMP_MODULE`.
const MODULE_SIZE: usize = 108;
/// Most modules that are read.
const MAX_MODULES: usize = 1 << 16;
/// Longest record that tells an id.
const MAX_RECORD: u32 = 1024;
/// `BpEL`: the bytes of the id follow.
const ELF_RECORD: u32 = 0x4270_454c;
/// `VS_FIXEDFILEINFO::dwSignature`.
const VERSION_SIGNATURE: u32 = 0xfeef_04bd;

/// The modules by address, without those that overlap one before them. The main one is the first in the list.
pub fn modules(streams: &Streams<'_>) -> Vec<Module> {
    let list = streams.list(MODULE_LIST, MODULE_SIZE);
    let raw = list.iter().take(MAX_MODULES).enumerate();
    let mut modules: Vec<Module> = raw.filter_map(|(index, raw)| module(streams, raw, index == 0)).collect();
    modules.sort_by_key(|module| module.base);
    let mut floor = 0;
    modules.retain(|module| {
        let is_free = module.base >= floor;
        floor = if is_free { module.base.saturating_add(module.size) } else { floor };
        is_free
    });
    modules
}

fn module(streams: &Streams<'_>, raw: &[u8], is_main: bool) -> Option<Module> {
    let word = |offset| u32_at(raw, offset).unwrap_or(0);
    let version = (word(24) == VERSION_SIGNATURE).then(|| FileVersion {
        major: word(32),
        minor: word(36),
        patch: word(40),
        build: word(44),
    });
    let record = streams.at(word(80), word(76), MAX_RECORD).unwrap_or_default();
    let id = record.get(4..).filter(|id| u32_at(&record, 0) == Some(ELF_RECORD) && !id.is_empty());
    Some(Module {
        base: u64_at(raw, 0)?,
        size: u64::from(word(8)),
        path: streams.string(word(20).into()).unwrap_or_default().into_bytes(),
        soname: None,
        version,
        id: id.map(|id| ModuleId::BuildId(id.to_vec())),
        is_main,
        deleted: false,
    })
    .filter(|module| module.size > 0)
}
