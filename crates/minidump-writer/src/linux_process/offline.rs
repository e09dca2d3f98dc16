//! A process that is no longer there: its modules and its loader's list, from memory that somebody kept.

use super::auxv::Auxv;
use super::modules::read_modules;
use super::{loader, maps};
use crate::snapshot::{DsoDebug, MemorySource, Module, Region, SoftError, Stage};

/// What memory and memory map tell.
#[derive(Debug)]
pub struct Offline {
    /// The memory map.
    pub regions: Vec<Region>,
    /// Loaded images. What their memory does not tell, such as an id, stays unknown.
    pub modules: Vec<Module>,
    /// The loader's list.
    pub dso_debug: Option<DsoDebug>,
}

/// Reads the memory map `text`, as /proc/PID/maps prints it, and what `memory` holds of modules and loader. No file is
/// opened. `auxv` has the bytes of /proc/PID/auxv.
pub fn read(
    text: &[u8],
    auxv: &[u8],
    memory: &dyn MemorySource,
    soft_errors: &mut Vec<SoftError>,
) -> Offline {
    let mut mappings = Vec::new();
    let malformed = maps::parse(text, &mut mappings);
    if malformed > 0 {
        let message = format!("{malformed} lines of the memory map were not understood");
        soft_errors.push(SoftError::new(Stage::MemoryMap, message));
    }
    let auxv = Auxv::parse(auxv);
    let dso_debug = loader::read(&auxv, memory, soft_errors);
    let modules = read_modules(&mappings, text, &auxv, memory, None, dso_debug.as_ref(), soft_errors);
    let region = |mapping: &maps::Mapping| Region {
        name: mapping.path(text).into_owned(),
        ..mapping.to_nameless_region(text)
    };
    Offline { regions: mappings.iter().map(region).collect(), modules, dso_debug }
}
