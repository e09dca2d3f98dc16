//! What dumps of Windows tell besides: the exception as it was handed, modules that were unloaded, handles, and of threads
//! what the thread list has for Windows alone.
//!
//! Lists are read by our own code, entry by entry and within bounds: their entries may all name the same huge text.

mod threads;

pub use threads::threads;

use super::model::{
    Address, Dump, ExceptionRecord, Frame, HandleType, Handles, Register, UnloadedModule, Windows,
};
use super::raw_dump::RawDump;
use super::registers;
use minidump::system_info::Os;
use minidump::{Endian, MinidumpContext, MinidumpException, MinidumpMiscInfo, MinidumpSystemInfo};
use minidump_writer::formats::minidump::NATIVE_CONTEXTS_STREAM;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// Streams (`MINIDUMP_STREAM_TYPE`).
const HANDLE_DATA: u32 = 12;
const UNLOADED_MODULE_LIST: u32 = 14;
/// Least sizes of their entries.
const HANDLE_SIZE: usize = 32;
const UNLOADED_MODULE_SIZE: usize = 24;
/// Size of an entry of our list of second contexts.
const NATIVE_CONTEXT_SIZE: usize = 16;
/// Most unloaded modules and types of handles that are told. The system remembers 64 of the former.
const MOST_UNLOADED: usize = 1024;
const MOST_TYPES: usize = 256;
/// Longest name that is read, in bytes: as long as that of a module is shown.
const LONGEST_NAME: u32 = 2 * 255;
/// Longest context.
const LONGEST_CONTEXT: u32 = 64 << 10;

/// Whether the dump is of Windows.
pub fn is_windows(system: &MinidumpSystemInfo) -> bool {
    system.os == Os::Windows
}

/// Reads it from a little-endian dump, which is also in `file`; `None` when the dump is of another system.
pub fn read(
    dump: &RawDump,
    file: &File,
    system: &MinidumpSystemInfo,
    misc: Option<&MinidumpMiscInfo>,
    exception: Option<&MinidumpException>,
) -> Option<Windows> {
    if !is_windows(system) {
        return None;
    }
    let zone = misc.and_then(|misc| misc.raw.time_zone()).map(|zone| text(&zone.standard_name));
    Some(Windows {
        exception: exception.map(record),
        native_registers: None,
        integrity_level: misc.and_then(|misc| misc.raw.process_integrity_level()).copied(),
        execute_flags: misc.and_then(|misc| misc.raw.process_execute_flags()).copied(),
        time_zone: zone.filter(|name| !name.is_empty()),
        unloaded_modules: unloaded_modules(dump, file),
        handles: handles(dump, file),
    })
}

/// Adds what is known only when the threads have been walked: the second registers of the blamed one, and which frames lie
/// in modules that were unloaded.
pub fn complete(shown: &mut Dump, dump: &RawDump, file: &File, system: &MinidumpSystemInfo) {
    let Some(windows) = &mut shown.windows else { return };
    windows.native_registers =
        shown.crash.thread.and_then(|thread| native_registers(dump, file, system, thread));
    for frame in shown.threads.iter_mut().flat_map(|thread| &mut thread.frames) {
        if frame.module.is_none() {
            place_in_unloaded(frame, &windows.unloaded_modules);
        }
    }
}

/// The latest module that was unloaded from where the frame is.
fn place_in_unloaded(frame: &mut Frame, modules: &[UnloadedModule]) {
    let offset = |module: &UnloadedModule| frame.instruction.0.checked_sub(module.base.0);
    let found = modules.iter().find(|module| offset(module).is_some_and(|offset| offset < module.size));
    if let Some(module) = found {
        frame.module_offset = offset(module).map(Address);
        frame.module = Some(module.name.clone());
        frame.unloaded = true;
    }
}

fn record(exception: &MinidumpException) -> ExceptionRecord {
    let record = &exception.raw.exception_record;
    let count = usize::try_from(record.number_parameters).unwrap_or(usize::MAX);
    ExceptionRecord {
        code: Address(record.exception_code.into()),
        flags: Address(record.exception_flags.into()),
        address: Address(record.exception_address),
        parameters: record.exception_information.iter().take(count).copied().map(Address).collect(),
    }
}

fn unloaded_modules(dump: &RawDump, file: &File) -> Vec<UnloadedModule> {
    let entries = entries(dump, UNLOADED_MODULE_LIST, UNLOADED_MODULE_SIZE).take(MOST_UNLOADED);
    let module = |entry: &[u8]| {
        let (base, size, stamp) = (u64_at(entry, 0)?, u32_at(entry, 8)?, u32_at(entry, 16)?);
        Some(UnloadedModule {
            base: Address(base),
            size: size.into(),
            code_id: code_id(stamp, size),
            name: string_at(file, u32_at(entry, 20)?).unwrap_or_default(),
        })
    };
    entries.filter_map(module).collect()
}

/// What symbol servers look up a file of Windows by: time stamp and size, as Microsoft's tools write them.
pub fn code_id(time_stamp: u32, size: u32) -> String {
    format!("{time_stamp:08X}{size:x}")
}

fn handles(dump: &RawDump, file: &File) -> Option<Handles> {
    dump.get_raw_stream(HANDLE_DATA).ok()?;
    let mut by_rva: HashMap<u32, u64> = HashMap::new();
    let mut handles = Handles::default();
    for entry in entries(dump, HANDLE_DATA, HANDLE_SIZE) {
        handles.count += 1;
        let rva = u32_at(entry, 8).unwrap_or(0);
        // Of a dump with types without number, the rest is told as unknown.
        let rva = if by_rva.contains_key(&rva) || by_rva.len() < MOST_TYPES { rva } else { 0 };
        *by_rva.entry(rva).or_default() += 1;
    }
    let mut by_name: HashMap<Option<String>, u64> = HashMap::new();
    for (rva, count) in by_rva {
        let name = if rva == 0 { None } else { string_at(file, rva) };
        *by_name.entry(name.filter(|name| !name.is_empty())).or_default() += count;
    }
    handles.types = by_name.into_iter().map(|(name, count)| HandleType { name, count }).collect();
    handles.types.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    Some(handles)
}

/// The registers in the second context of a thread.
fn native_registers(
    dump: &RawDump,
    file: &File,
    system: &MinidumpSystemInfo,
    thread: u32,
) -> Option<Vec<Register>> {
    let mut contexts = entries(dump, NATIVE_CONTEXTS_STREAM, NATIVE_CONTEXT_SIZE);
    let entry = contexts.find(|entry| u32_at(entry, 0) == Some(thread))?;
    let size = u32_at(entry, 8).filter(|size| *size <= LONGEST_CONTEXT)?;
    let context = bytes(file, u32_at(entry, 12)?.into(), size)?;
    let mut native = system.clone();
    native.raw.processor_architecture =
        entry.get(4..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))?;
    let context = MinidumpContext::read(&context, Endian::Little, &native, None).ok()?;
    Some(registers::of(&context))
}

/// The entries of a list that begins with the sizes of header and entry, then their number.
fn entries(dump: &RawDump, stream: u32, least: usize) -> impl Iterator<Item = &[u8]> + use<'_> {
    let bytes = dump.get_raw_stream(stream).unwrap_or_default();
    let word = |offset| u32_at(bytes, offset).and_then(|word| usize::try_from(word).ok()).unwrap_or(0);
    let (header, size, count) = (word(0), word(4), word(8));
    let rest = bytes.get(header..).filter(|_| size >= least).unwrap_or_default();
    rest.chunks_exact(size.max(1)).take(count)
}

/// The `MINIDUMP_STRING` at `offset`: its length in bytes, then UTF-16. The end of a long one is left out.
fn string_at(file: &File, offset: u32) -> Option<String> {
    let size = u32_at(&bytes(file, offset.into(), 4)?, 0)?.min(LONGEST_NAME);
    let read = bytes(file, u64::from(offset) + 4, size)?;
    let units: Vec<u16> = read.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    Some(String::from_utf16_lossy(&units))
}

/// The text in a field of fixed size, up to its zero.
fn text(field: &[u16]) -> String {
    let units: Vec<u16> = field.iter().copied().take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}

fn bytes(mut file: &File, offset: u64, size: u32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.seek(SeekFrom::Start(offset)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|field| u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|field| u64::from_le_bytes(*field))
}

#[cfg(test)]
mod tests;
