use super::text::Text;
use minidump_snapshot::{AppleFacts, Module, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// `MH_DYLIB`: a library, which is mostly found under its install name.
const DYLIB: u32 = 6;
/// Longest path of which the module list keeps all.
const LONGEST_PATH: usize = 1024;

/// What the module list does not tell of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ModuleRecord {
    base: u64,
    /// The path, when the module list has not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Text>,
    /// The name in LC_ID_DYLIB.
    install_name: Option<String>,
}

/// The install name of a module without record.
fn likely_install_name<'a>(facts: &AppleFacts, base: u64, path: &'a [u8]) -> Option<&'a str> {
    facts.image_at(base).filter(|image| image.file_type == DYLIB)?;
    std::str::from_utf8(path).ok()
}

impl ModuleRecord {
    /// `None` when the module list tells all, and the install name is the likely one.
    pub(super) fn new(facts: &AppleFacts, module: &Module) -> Option<Self> {
        let whole = module.path.len() <= LONGEST_PATH && std::str::from_utf8(&module.path).is_ok();
        let path = (!whole).then(|| Text::new(&module.path));
        let likely = likely_install_name(facts, module.base, &module.path);
        let (base, install_name) = (module.base, module.soname.clone());
        (path.is_some() || install_name.as_deref() != likely).then_some(Self { base, path, install_name })
    }

    /// Completes the modules.
    pub(super) fn restore(records: Vec<Self>, facts: &AppleFacts, snapshot: &mut Snapshot) {
        let mut records: HashMap<u64, Self> =
            records.into_iter().map(|record| (record.base, record)).collect();
        for module in &mut snapshot.modules {
            let Some(record) = records.remove(&module.base) else {
                module.soname = likely_install_name(facts, module.base, &module.path).map(str::to_owned);
                continue;
            };
            if let Some(path) = record.path {
                module.path = path.into_bytes();
            }
            module.soname = record.install_name;
        }
    }
}
