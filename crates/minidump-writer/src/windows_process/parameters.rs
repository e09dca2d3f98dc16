//! What the process was started with (`RTL_USER_PROCESS_PARAMETERS`).

use super::loader::add_range;
use super::reader::{Reader, Structure, UnicodeString, units};
use minidump_snapshot::{EnvironmentBlock, SoftError, Stage};

/// `RTL_USER_PROC_PARAMS_NORMALIZED`: without it the pointers are offsets into the structure.
const NORMALIZED: u32 = 1;
/// Most bytes of the structure with the strings behind its fields: six of them may have 64 KiB.
const MAX_LENGTH: usize = 0x8_0000;
/// Most bytes of the environment that are read.
const MAX_ENVIRONMENT: usize = 1 << 20;
/// Bytes of the environment that are read at a time when its size is unknown.
const CHUNK: usize = 4096;

/// The parameters.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `ImagePathName`.
    pub image_path: Option<String>,
    /// `CommandLine`.
    pub command_line: Option<String>,
    /// Where it lies: address and size in bytes.
    pub command_line_at: Option<(u64, u64)>,
    /// `Environment`.
    pub environment: Option<EnvironmentBlock>,
}

/// Reads the structure at `address`. Its ranges are appended to `structures`.
pub fn read(
    reader: &Reader<'_>,
    address: u64,
    structures: &mut Vec<(u64, u64)>,
    soft_errors: &mut Vec<SoftError>,
) -> Parameters {
    let layout = &reader.pointer_size.layout().parameters;
    let Some(fields) = reader.structure(address, layout.read) else {
        let message = "the process parameters cannot be read";
        soft_errors.push(SoftError::new(Stage::Loader, message).range(address, layout.read as u64));
        return Parameters::default();
    };
    let length = usize::try_from(fields.u32(layout.length)).unwrap_or(usize::MAX);
    add_range(structures, address, length.clamp(layout.read, MAX_LENGTH));
    let offset = if fields.u32(layout.flags) & NORMALIZED == 0 { address } else { 0 };
    let mut string = |at, what| {
        let place = moved(fields.unicode_string(at), offset);
        text(reader, place, what, structures, soft_errors)
    };
    let image_path = string(layout.image_path, "the path of the executable");
    let command_line = string(layout.command_line, "the command line");
    let place = moved(fields.unicode_string(layout.command_line), offset);
    let command_line_at = command_line.is_some().then(|| (place.address, place.length.into()));
    let environment = environment(reader, &fields, offset, soft_errors);
    Parameters { image_path, command_line, command_line_at, environment }
}

/// `string` with its address counted from `offset`, unless it has none.
fn moved(string: UnicodeString, offset: u64) -> UnicodeString {
    let address = if string.address == 0 { 0 } else { string.address.wrapping_add(offset) };
    UnicodeString { address, ..string }
}

fn text(
    reader: &Reader<'_>,
    string: UnicodeString,
    what: &str,
    structures: &mut Vec<(u64, u64)>,
    soft_errors: &mut Vec<SoftError>,
) -> Option<String> {
    if string.address == 0 {
        return None;
    }
    add_range(structures, string.address, string.length.into());
    let (text, whole) = string.read(reader, usize::MAX);
    if !whole {
        let message = format!("{what} cannot be read to its end");
        let error = SoftError::new(Stage::Loader, message).range(string.address, string.length.into());
        soft_errors.push(error);
    }
    (whole || !text.is_empty()).then_some(text)
}

/// The environment: up to the empty text that ends it.
fn environment(
    reader: &Reader<'_>,
    fields: &Structure,
    offset: u64,
    soft_errors: &mut Vec<SoftError>,
) -> Option<EnvironmentBlock> {
    let layout = &reader.pointer_size.layout().parameters;
    let pointer = fields.pointer(layout.environment);
    if pointer == 0 {
        return None;
    }
    let address = pointer.wrapping_add(offset);
    let told = usize::try_from(fields.pointer(layout.environment_size)).unwrap_or(usize::MAX);
    let wanted = if (1..=MAX_ENVIRONMENT).contains(&told) { told } else { MAX_ENVIRONMENT };
    let mut text: Vec<u16> = Vec::new();
    while text.len() * 2 < wanted {
        let at = address.checked_add(text.len() as u64 * 2);
        let size = CHUNK.min(wanted - text.len() * 2);
        let chunk = units(&at.map(|at| reader.bytes(at, size)).unwrap_or_default());
        let whole = chunk.len() * 2 == size;
        // The end may lie across two pieces.
        let from = text.len().saturating_sub(1);
        text.extend(chunk);
        if let Some(end) = end_of(text.get(from..).unwrap_or_default(), from) {
            text.truncate(end);
            return Some(EnvironmentBlock { address, text });
        }
        if !whole {
            break;
        }
    }
    let message = "the environment has no end, or cannot be read to its end";
    soft_errors.push(SoftError::new(Stage::Loader, message).range(address, text.len() as u64 * 2));
    (!text.is_empty()).then_some(EnvironmentBlock { address, text })
}

/// The length of an environment whose code units from index `from` on are `units`: its last text's zero is followed by
/// another one. One without texts begins with the latter.
fn end_of(units: &[u16], from: usize) -> Option<usize> {
    if from == 0 && units.first() == Some(&0) {
        return Some(0);
    }
    let at = units.windows(2).position(|pair| pair == [0, 0])?;
    Some(from + at + 1)
}

/// `ranges` without what lies in the environment, so that its bytes come into a dump only where somebody asks for them.
#[must_use]
pub fn without_environment(ranges: Vec<(u64, u64)>, block: &EnvironmentBlock) -> Vec<(u64, u64)> {
    without(ranges, (block.address, block.text.len() as u64 * 2))
}

/// `ranges` without what lies in `(start, size)`.
#[must_use]
pub fn without(ranges: Vec<(u64, u64)>, (start, size): (u64, u64)) -> Vec<(u64, u64)> {
    let end = start.saturating_add(size);
    let mut kept = Vec::with_capacity(ranges.len());
    for (address, size) in ranges {
        let last = address.saturating_add(size);
        if last <= start || end <= address {
            kept.push((address, size));
            continue;
        }
        kept.extend((address < start).then(|| (address, start - address)));
        kept.extend((end < last).then(|| (end, last - end)));
    }
    kept
}
