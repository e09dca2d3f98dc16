//! Memory that a core leaves out because it is in files: taken from the files, where these are proven to be the same.

use crate::convert::{FileMemory, InputFile, Piece};
use crate::snapshot::{Module, ModuleId, Protection, Region, RegionKind, SoftError, Stage};
use object::{Object as _, ReadCache};
use std::fs::File;

/// Most files that are opened. They stay open.
const MAX_FILES: usize = 400;

/// Adds to `memory` the read-only parts of modules, from the files at the modules' paths. A file counts only when it has
/// the build id that the core tells.
pub fn add(
    modules: &[Module],
    regions: &[Region],
    memory: &mut FileMemory,
    soft_errors: &mut Vec<SoftError>,
) {
    let mut opened = 0;
    for module in modules {
        let Some(ModuleId::BuildId(id)) = &module.id else { continue };
        if !module.path.starts_with(b"/") || module.deleted {
            continue;
        }
        if opened == MAX_FILES {
            let message = format!("only the files of the first {MAX_FILES} modules were looked into");
            soft_errors.push(SoftError::new(Stage::Module, message));
            break;
        }
        let Some(file) = open_same(&module.path, id) else { continue };
        opened += 1;
        let index = memory.add_file(file);
        memory.add(pieces(module, regions, index));
    }
}

/// The file at `path`, if it is a regular one that has this build id.
fn open_same(path: &[u8], id: &[u8]) -> Option<InputFile> {
    let file = open_regular(path)?;
    let cache = ReadCache::new(&file);
    let object = object::File::parse(&cache).ok()?;
    if object.build_id().ok()?? != id {
        return None;
    }
    InputFile::new(file).ok()
}

#[cfg(unix)]
fn open_regular(path: &[u8]) -> Option<File> {
    use std::os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _};
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
    // Asked before it is opened: opening a pipe would wait for ever, opening a device may act.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    // Nor may it wait if the file has been replaced meanwhile.
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()
}

/// Elsewhere a path of Linux names nothing. Windows would take `//server/share` for another machine, which whoever wrote the
/// dump must not make this one talk to.
#[cfg(not(unix))]
fn open_regular(_: &[u8]) -> Option<File> {
    None
}

/// Where the file shows in the module. What could be written to may differ from it.
fn pieces(module: &Module, regions: &[Region], file: usize) -> Vec<Piece> {
    let end = module.base.saturating_add(module.size);
    let first = regions.partition_point(|region| region.end <= module.base);
    let inside = regions.get(first..).unwrap_or_default().iter().take_while(|region| region.start < end);
    let shows = |region: &&Region| {
        region.kind == RegionKind::File
            && region.name == module.path
            && region.protection.contains(Protection::READ)
            && !region.protection.contains(Protection::WRITE)
    };
    let piece =
        |region: &Region| Piece { address: region.start, size: region.size(), file, offset: region.offset };
    inside.filter(shows).map(piece).collect()
}
