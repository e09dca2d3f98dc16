//! The modules: ELF images among the mappings, with the build ids that their own headers in memory tell.
//!
//! One pass over the map. An image counts once executable memory of its file is found inside it, so that a library
//! that is merely read as a file is none. Where the headers are damaged, the mappings of the file stand for the image.

use crate::bytes::Fields;
use crate::directory::{self, Stream};
use crate::elf::{self, Extent, MAX_BUILD_ID, Span};
use crate::maps::{Mapping, Maps};
use crate::memory::Memory;
use crate::notes::{Note, Notes, Stage};
use crate::output::{Full, Output};
use crate::strings::append_utf16;
use crate::table::Table;

/// The vdso, as Breakpad's symbol tools call it.
const VDSO_NAME: &[u8] = b"linux-gate.so";
const DELETED_SUFFIX: &[u8] = b" (deleted)";
/// Signature of a `CodeView` record with an ELF build id (Breakpad, `MD_CVINFOELF_SIGNATURE`).
const CV_ELF: u32 = 0x4270_454c;

/// A module whose name and id are in the file.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct ModuleRow {
    base: u64,
    end: u64,
    name_rva: u32,
    id_rva: u32,
    id_size: u32,
    padding: u32,
}

/// Where the search reads memory.
pub(crate) struct Sight<'a, 'm> {
    pub memory: &'a mut Memory<'m>,
    /// For file and program headers.
    pub image: &'a mut [u8],
    /// For a note segment.
    pub note: &'a mut [u8],
}

/// What identifies a file.
type FileKey = ((u64, u64), u64);

/// The search, between two mappings.
struct Search {
    file: Option<FileKey>,
    /// Where the mappings of the file begin.
    start: u64,
    candidate: Option<Extent>,
    /// The last module's file and end, and whether that is known from its headers.
    last: Option<(FileKey, u64, bool)>,
}

/// Appends the names and ids of all modules, then the list of them. `program` is an address in the program's image.
pub(crate) fn append(
    out: &mut Output<'_>,
    maps: &mut Maps<'_>,
    mut sight: Sight<'_, '_>,
    table: &mut Table<'_, ModuleRow>,
    notes: &mut Notes,
    program: Option<u64>,
) -> Result<(), Full> {
    let mut search = Search { file: None, start: 0, candidate: None, last: None };
    while let Some(mapping) = maps.next() {
        if mapping.name == b"[vdso]" {
            let extent = read_extent(&mut sight, &mapping);
            push(out, &mut sight, table, (mapping.start, mapping.end), extent.as_ref(), VDSO_NAME)?;
        } else if mapping.inode != 0 && mapping.name.starts_with(b"/") && !mapping.is_device() {
            search.see(out, &mut sight, table, &mapping)?;
        }
    }
    append_list(out, table, program)?;
    if table.lost() > 0 {
        notes.add(&Note::counted(Stage::Module, "modules without room", table.lost()));
    }
    if table.rows().is_empty() {
        notes.add(&Note::new(Stage::Module, "the memory map shows no module"));
    }
    Ok(())
}

impl Search {
    /// The next mapping of a file.
    fn see(
        &mut self,
        out: &mut Output<'_>,
        sight: &mut Sight<'_, '_>,
        table: &mut Table<'_, ModuleRow>,
        mapping: &Mapping<'_>,
    ) -> Result<(), Full> {
        let file = (mapping.device, mapping.inode);
        let is_first = self.file != Some(file);
        if is_first {
            (self.file, self.start, self.candidate) = (Some(file), mapping.start, None);
        }
        if let Some((last, end, by_headers)) = self.last.filter(|(last, ..)| *last == file) {
            if by_headers && mapping.start < end {
                return Ok(());
            }
            if !by_headers && !is_first && mapping.offset != 0 {
                // Without headers, the image is as large as its mappings.
                if let Some(row) = table.rows_mut().last_mut() {
                    row.end = row.end.max(mapping.end);
                }
                self.last = Some((last, mapping.end, false));
                return Ok(());
            }
        }
        if is_first || mapping.offset == 0 {
            self.start = mapping.start;
            self.candidate = read_extent(sight, mapping);
        }
        if !mapping.executable {
            return Ok(());
        }
        let inside = |extent: &Extent| (extent.base..extent.end).contains(&mapping.start);
        let extent = self.candidate.take().filter(inside);
        let range = extent.map_or((self.start, mapping.end), |extent| (extent.base, extent.end));
        self.last = Some((file, range.1, extent.is_some()));
        let name = mapping.name.strip_suffix(DELETED_SUFFIX).unwrap_or(mapping.name);
        push(out, sight, table, range, extent.as_ref(), name)
    }
}

/// Reads the headers of the image that begins with `mapping`, if one does.
fn read_extent(sight: &mut Sight<'_, '_>, mapping: &Mapping<'_>) -> Option<Extent> {
    if !mapping.readable {
        return None;
    }
    let size = sight.memory.read(mapping.start, sight.image);
    let head = sight.image.get(..size)?;
    let (offset, table_size) = elf::program_headers(head)?;
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(table_size).ok()?)?;
    if let Some(table) = head.get(start..end) {
        return elf::extent(mapping.start, table);
    }
    let room = usize::try_from(table_size).ok()?.min(sight.image.len());
    let table = sight.image.get_mut(..room)?;
    let size = sight.memory.read(mapping.start.checked_add(offset)?, table);
    elf::extent(mapping.start, table.get(..size)?)
}

/// Appends name and id of a module, and enters it into the table.
fn push(
    out: &mut Output<'_>,
    sight: &mut Sight<'_, '_>,
    table: &mut Table<'_, ModuleRow>,
    (base, end): (u64, u64),
    extent: Option<&Extent>,
    name: &[u8],
) -> Result<(), Full> {
    // Headers can claim too much; readers refuse modules that overlap.
    if let Some(last) = table.rows_mut().last_mut() {
        last.end = last.end.min(base.max(last.base));
    }
    let name_rva = append_utf16(out, name)?;
    let (mut id_rva, mut id_size) = (0, 0);
    let notes = extent.map(|extent| extent.notes).unwrap_or_default();
    let mut id = [0; MAX_BUILD_ID];
    let found = notes.iter().find_map(|span| read_build_id(sight, *span, &mut id));
    if let Some(id) = found.and_then(|size| id.get(..size)) {
        out.align(4)?;
        id_rva = out.rva();
        out.append(&CV_ELF.to_le_bytes())?;
        out.append(id)?;
        id_size = out.rva().saturating_sub(id_rva);
    }
    table.push(ModuleRow { base, end, name_rva, id_rva, id_size, padding: 0 });
    Ok(())
}

/// Copies the build id in the note segment into `id`. Returns its size.
fn read_build_id(sight: &mut Sight<'_, '_>, (address, size): Span, id: &mut [u8]) -> Option<usize> {
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(sight.note.len());
    let note = sight.note.get_mut(..size)?;
    let read = sight.memory.read(address, note);
    let found = elf::build_id(note.get(..read)?)?;
    Some(crate::bytes::copy(id, found))
}

/// The list (minidumpapiset.h, `MINIDUMP_MODULE`, 108 bytes): the program, which readers take the first one to be, then
/// the others by ascending address.
fn append_list(out: &mut Output<'_>, table: &Table<'_, ModuleRow>, program: Option<u64>) -> Result<(), Full> {
    let rows = table.rows();
    let holds = |row: &ModuleRow| program.is_some_and(|address| (row.base..row.end).contains(&address));
    let first = rows.iter().position(holds).unwrap_or(0);
    let main = rows.iter().skip(first).take(1);
    let others = rows.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, row)| row);
    out.align(4)?;
    let rva = out.rva();
    out.append(&table.count().to_le_bytes())?;
    for row in main.chain(others) {
        let size = u32::try_from(row.end.saturating_sub(row.base)).unwrap_or(u32::MAX);
        let mut fields = Fields::<108>::new();
        fields.u64(row.base).u32(size).at(20).u32(row.name_rva).at(76).u32(row.id_size).u32(row.id_rva);
        out.append(fields.as_bytes())?;
    }
    directory::enter_since(out, Stream::ModuleList, rva)
}
