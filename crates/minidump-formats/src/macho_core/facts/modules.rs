use crate::macho_core::json::{Hexadecimal, Text};
use minidump_snapshot::{Module, ModuleId};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct ModuleFacts<'a> {
    base: u64,
    size: u64,
    path: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    soname: Option<&'a str>,
    /// `soname` is `path`, as of nearly all libraries.
    #[serde(skip_serializing_if = "is_false")]
    soname_is_path: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<[u32; 4]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<Hexadecimal<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    is_main: bool,
    #[serde(skip_serializing_if = "is_false")]
    deleted: bool,
}

impl<'a> ModuleFacts<'a> {
    pub(super) fn new(module: &'a Module) -> Self {
        let uuid = match &module.id {
            Some(ModuleId::Uuid(uuid)) => Some(Hexadecimal(uuid)),
            _ => None,
        };
        let version = module.version.map(|known| [known.major, known.minor, known.patch, known.build]);
        let soname_is_path = module.soname.as_ref().is_some_and(|soname| soname.as_bytes() == module.path);
        Self {
            base: module.base,
            size: module.size,
            path: Text(&module.path),
            soname: module.soname.as_deref().filter(|_| !soname_is_path),
            soname_is_path,
            version,
            uuid,
            is_main: module.is_main,
            deleted: module.deleted,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_false(value: &bool) -> bool {
    !value
}
