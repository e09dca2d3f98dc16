//! The environment blocks of process and threads, and what they lead to.

use super::layout::PointerSize;
use super::loader::{self, Listed};
use super::parameters::{self, Parameters};
use super::reader::Reader;
use super::{NativeBlocks, ProcessView};
use minidump_snapshot::{EnvironmentBlock, SoftError, Stage};

/// Most threads whose environment blocks are kept. A system has room for fewer.
const MAX_THREADS: usize = 1 << 20;

/// What the blocks tell.
#[derive(Debug, Default)]
pub struct Blocks {
    /// Entries of the loader's lists, those of the program's own pointer size first.
    pub listed: Vec<Listed>,
    /// `ImageBaseAddress`.
    pub main_base: Option<u64>,
    /// Process parameters.
    pub parameters: Parameters,
    /// The environment that the 64-bit parameters of a 32-bit program have.
    pub native_environment: Option<EnvironmentBlock>,
    /// Ranges (address, size) of all structures that were met.
    pub structures: Vec<(u64, u64)>,
}

/// Reads the blocks of the program, and those of a 32-bit one that the 64-bit system's own code uses.
pub fn read(process: &ProcessView<'_>, soft_errors: &mut Vec<SoftError>) -> Blocks {
    let mut blocks = Blocks::default();
    let reader = Reader { memory: process.memory, pointer_size: process.pointer_size };
    add_tebs(&mut blocks.structures, process.tebs, process.pointer_size);
    add_process(&mut blocks, &reader, process.peb, true, soft_errors);
    if let Some(NativeBlocks { peb, tebs }) = process.native {
        let reader = Reader { memory: process.memory, pointer_size: PointerSize::Eight };
        add_tebs(&mut blocks.structures, tebs, PointerSize::Eight);
        add_process(&mut blocks, &reader, peb, false, soft_errors);
    }
    blocks
}

fn add_tebs(structures: &mut Vec<(u64, u64)>, tebs: &[u64], pointer_size: PointerSize) {
    let size = pointer_size.layout().teb;
    for teb in tebs.iter().take(MAX_THREADS) {
        loader::add_range(structures, *teb, size);
    }
}

/// Follows the process environment block at `peb`. Only that of the program itself (`is_own`) tells its parameters.
fn add_process(
    blocks: &mut Blocks,
    reader: &Reader<'_>,
    peb: u64,
    is_own: bool,
    soft_errors: &mut Vec<SoftError>,
) {
    let layout = reader.pointer_size.layout();
    let read = layout.peb.parameters + reader.pointer_size.bytes();
    let Some(fields) = reader.structure(peb, read) else {
        let message = "the process environment block cannot be read";
        soft_errors.push(SoftError::new(Stage::Loader, message).range(peb, read as u64));
        return;
    };
    loader::add_range(&mut blocks.structures, peb, layout.peb.size);
    let parameters = fields.pointer(layout.peb.parameters);
    let parameters = parameters::read(reader, parameters, &mut blocks.structures, soft_errors);
    if is_own {
        blocks.main_base = Some(fields.pointer(layout.peb.image_base)).filter(|base| *base != 0);
        blocks.parameters = parameters;
    } else {
        blocks.native_environment = parameters.environment;
    }
    let loader = fields.pointer(layout.peb.loader);
    let listed = loader::read(reader, loader, &mut blocks.structures, soft_errors);
    blocks.listed.extend(listed);
}
