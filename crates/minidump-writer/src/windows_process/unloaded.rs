//! Modules that are loaded no more: ntdll's array of `RTL_UNLOAD_EVENT_TRACE`.
//!
//! Source: <https://learn.microsoft.com/windows/win32/devnotes/rtlgetunloadeventtraceex>.

use super::ProcessView;
use super::layout::PointerSize;
use super::reader::{Reader, Structure, text, units};
use minidump_snapshot::{Module, PeImage, SoftError, Stage, UnloadedModule};

/// Most elements that are read. Systems keep 64.
const MAX_ELEMENTS: u32 = 4096;
/// Largest element. Systems have 104 bytes.
const MAX_ELEMENT_SIZE: usize = 4096;
/// Code units of `ImageName`.
const NAME_UNITS: usize = 32;

/// Addresses of the variables of ntdll that tell where the array lies, as `RtlGetUnloadEventTraceEx` gives them. They are
/// the same in all processes of one pointer size, which have ntdll at the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnloadTrace {
    /// Of the process that was asked, and so of what the array tells.
    pub pointer_size: PointerSize,
    /// Where ntdll lies in the process that was asked. The addresses hold for a target that has it there, too.
    pub ntdll: u64,
    /// Address of the size of an element, 32 bits.
    pub element_size: u64,
    /// Address of the number of elements, 32 bits.
    pub element_count: u64,
    /// Address of the pointer to the first element.
    pub elements: u64,
}

/// Reads the array; the latest module comes first. `modules` tells whether ntdll is where it should be.
pub fn read(
    process: &ProcessView<'_>,
    images: &[PeImage],
    modules: &[Module],
    soft_errors: &mut Vec<SoftError>,
) -> Vec<UnloadedModule> {
    let Some(trace) = process.unload_trace else { return Vec::new() };
    let reader = Reader { memory: process.memory, pointer_size: trace.pointer_size };
    let found = if images.iter().any(|image| image.base == trace.ntdll) || modules.is_empty() {
        elements(&reader, trace)
    } else {
        Err(SoftError::new(Stage::Loader, "ntdll is not where the dumper has it").range(trace.ntdll, 0))
    };
    found.unwrap_or_else(|mut error| {
        error.message = format!("the unloaded modules are not known: {}", error.message);
        soft_errors.push(error);
        Vec::new()
    })
}

fn elements(reader: &Reader<'_>, trace: UnloadTrace) -> Result<Vec<UnloadedModule>, SoftError> {
    let layout = &reader.pointer_size.layout().unloaded;
    let number = |address| Some(reader.structure(address, 4)?.u32(0));
    let pointer = reader.structure(trace.elements, reader.pointer_size.bytes()).map(|cell| cell.pointer(0));
    let (Some(size), Some(count), Some(first)) =
        (number(trace.element_size), number(trace.element_count), pointer)
    else {
        let message = "ntdll's variables cannot be read";
        return Err(SoftError::new(Stage::Loader, message).range(trace.elements, 0));
    };
    // The array is made when the first module goes.
    if first == 0 || count == 0 {
        return Ok(Vec::new());
    }
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < layout.size || size > MAX_ELEMENT_SIZE || count > MAX_ELEMENTS {
        let message = format!("{count} elements of {size} bytes are implausible");
        return Err(SoftError::new(Stage::Loader, message).range(first, 0));
    }
    let address = |index: u32| first.checked_add(u64::from(index) * size as u64);
    let mut found: Vec<(u32, UnloadedModule)> = (0..count)
        .map_while(|index| reader.structure(address(index)?, layout.size))
        .filter_map(|fields| element(reader, &fields))
        .collect();
    if found.is_empty() && reader.structure(first, layout.size).is_none() {
        return Err(SoftError::new(Stage::Loader, "their array cannot be read").range(first, 0));
    }
    // The array is a ring: where the numbers begin anew is not its first element.
    found.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
    Ok(found.into_iter().map(|(_, module)| module).collect())
}

/// One element with its number; `None` for one that has not been used.
fn element(reader: &Reader<'_>, fields: &Structure) -> Option<(u32, UnloadedModule)> {
    let layout = &reader.pointer_size.layout().unloaded;
    let name = fields.tail(layout.name).get(..2 * NAME_UNITS)?;
    let module = UnloadedModule {
        base: fields.pointer(0),
        size: fields.pointer(layout.image_size),
        check_sum: fields.u32(layout.check_sum),
        time_stamp: fields.u32(layout.time_stamp),
        name: text(&units(name)),
    };
    (module.base != 0).then(|| (fields.u32(layout.sequence), module))
}
