//! Finding images by the ELF headers in target memory.

use super::super::maps::{Mapping, index_of};
use super::batch::Batch;
use super::build_id;
use super::elf_image::{HEADER_SIZE, Header, MAX_TABLE_SIZE, Segments};
use super::image::{Image, Target};
use super::placement::{self, Placement, same_file};
use minidump_snapshot::{ModuleId, Protection};
use std::collections::HashMap;

/// Bytes read where an image is likely to start. File header, program headers and the notes behind them fit.
const LIKELY_SIZE: usize = 2048;
/// Candidates read in one batch, which bounds its buffer to 4 MiB.
const BATCH: usize = 2048;

/// What the mappings of one file have in common.
#[derive(Debug, Clone, Copy, Default)]
struct FileUse {
    pieces: usize,
    executable: bool,
    named: bool,
}

/// Device, inode, and the name where there is no inode.
type FileKey<'t> = ((u32, u32), u64, &'t [u8]);

fn key<'t>(mapping: &Mapping, text: &'t [u8]) -> FileKey<'t> {
    (mapping.device, mapping.inode, if mapping.inode == 0 { mapping.name(text) } else { &[] })
}

/// The images whose headers memory holds, in the order of the memory map.
pub fn scan(target: &Target<'_>) -> Vec<Image> {
    let mut images = Vec::new();
    for batch in candidates(target).chunks(BATCH) {
        let ranges: Vec<_> = batch.iter().map(|(mapping, size)| (mapping.1.start, *size)).collect();
        let heads = Batch::read(target.memory, &ranges);
        let mut missing = Vec::new();
        for (index, ((at, mapping), _)) in batch.iter().enumerate() {
            let Some(header) = Header::parse(heads.get(index)) else { continue };
            match table(heads.get(index), &header) {
                Some(table) => images.extend(accept(target, *at, header, table, heads.get(index))),
                None => missing.push((*at, *mapping, header)),
            }
        }
        images.extend(scan_far_tables(target, &missing));
    }
    images
}

/// Images whose program headers do not lie next to their file headers.
fn scan_far_tables(target: &Target<'_>, missing: &[(usize, &Mapping, Header)]) -> Vec<Image> {
    let range = |(_, mapping, header): &(usize, &Mapping, Header)| {
        let inside = header.program_headers < mapping.size();
        (mapping.start.wrapping_add(header.program_headers), if inside { header.table_size() } else { 0 })
    };
    let tables = Batch::read(target.memory, &missing.iter().map(range).collect::<Vec<_>>());
    let image = |(index, (at, _, header)): (usize, &(usize, &Mapping, Header))| {
        let table = tables.get(index);
        (table.len() == header.table_size()).then(|| accept(target, *at, *header, table, &[])).flatten()
    };
    missing.iter().enumerate().filter_map(image).collect()
}

/// The program headers in the bytes that begin with the file header.
fn table<'a>(head: &'a [u8], header: &Header) -> Option<&'a [u8]> {
    let start = usize::try_from(header.program_headers).ok()?;
    head.get(start..start.checked_add(header.table_size().min(MAX_TABLE_SIZE))?)
}

/// Which mappings may begin with an ELF header, and how many bytes to read there.
fn candidates<'a>(target: &Target<'a>) -> Vec<((usize, &'a Mapping), usize)> {
    let uses = file_uses(target);
    let mut previous: Option<&Mapping> = None;
    let mut out = Vec::new();
    for (index, mapping) in target.mappings.iter().enumerate() {
        if is_vdso(target, mapping) {
            out.push(((index, mapping), LIKELY_SIZE));
        }
        if !target.may_hold_image(mapping) {
            continue;
        }
        let first = previous.is_none_or(|previous| !same_file(previous, mapping, target.text));
        previous = Some(mapping);
        let usage = uses.get(&key(mapping, target.text)).copied().unwrap_or_default();
        // Reading pulls pages of the file into memory, so files that look like data are left alone.
        let size = match (usage.executable || usage.named, mapping.offset == 0) {
            (true, true) => LIKELY_SIZE,
            (true, false) if first => LIKELY_SIZE,
            (true, false) => HEADER_SIZE,
            (false, true) if usage.pieces > 1 => LIKELY_SIZE,
            (false, _) => continue,
        };
        let size = size.min(usize::try_from(mapping.size()).unwrap_or(usize::MAX));
        out.push(((index, mapping), size));
    }
    out
}

fn file_uses<'a>(target: &Target<'a>) -> HashMap<FileKey<'a>, FileUse> {
    let mut uses: HashMap<_, FileUse> = HashMap::new();
    for mapping in target.mappings.iter().filter(|mapping| target.may_hold_image(mapping)) {
        let usage = uses.entry(key(mapping, target.text)).or_default();
        usage.pieces += 1;
        usage.executable |= mapping.protection.contains(Protection::EXECUTE);
    }
    let listed = target.loader.map(|loader| loader.link_maps.as_slice()).unwrap_or_default();
    let named = listed.iter().flat_map(|entry| [entry.dynamic, entry.base]);
    for address in named.chain([target.auxv.phdr, target.auxv.entry].into_iter().flatten()) {
        let mapping = index_of(target.mappings, address).and_then(|index| target.mappings.get(index));
        if let Some(usage) = mapping.and_then(|mapping| uses.get_mut(&key(mapping, target.text))) {
            usage.named = true;
        }
    }
    uses
}

fn is_vdso(target: &Target<'_>, mapping: &Mapping) -> bool {
    mapping.name(target.text) == b"[vdso]"
        || (mapping.inode == 0 && target.auxv.sysinfo_ehdr == Some(mapping.start))
}

/// The image with these headers at the start of mapping number `index`, when it is one that is loaded. `head` is
/// what is known of its first bytes.
fn accept(target: &Target<'_>, index: usize, header: Header, table: &[u8], head: &[u8]) -> Option<Image> {
    let mapping = target.mappings.get(index)?;
    let segments = Segments::parse(table, header.class);
    let is_vdso = is_vdso(target, mapping);
    let (bias, placement) = if is_vdso {
        place_vdso(&segments, mapping, index)
    } else {
        placement::fit(&segments, mapping.offset, mapping, target.mappings, target.text)
    }?;
    let (base, end) = (placement.base, placement.end);
    let loaded = is_vdso
        || placement.code.is_some()
        || placement.pieces > 1
        || target.holds_main(base, end)
        || target.loader_knows(base, end, bias);
    let mut image = Image {
        mapping: index,
        origin: if is_vdso { 0 } else { mapping.offset },
        bias,
        base,
        end,
        code: placement.code,
        is_vdso,
        class: header.class,
        header: Some(header),
        segments,
        id: None,
        soname: None,
        replaced: false,
    };
    image.id = build_id_in_head(&image, mapping.start, head).map(ModuleId::BuildId);
    (loaded && base < end).then_some(image)
}

/// The vdso is one mapping, which the kernel makes without a file.
fn place_vdso(segments: &Segments, mapping: &Mapping, index: usize) -> Option<(u64, Placement)> {
    let (low, high) = segments.span()?;
    let end = mapping.start.checked_add(high.checked_sub(low)?)?.min(mapping.end);
    let placement = Placement { base: mapping.start, end, pieces: 1, code: Some(index) };
    Some((mapping.start.wrapping_sub(low), placement))
}

/// The build id, when its note lies in the bytes from `start` on that are known already.
fn build_id_in_head(image: &Image, start: u64, head: &[u8]) -> Option<Vec<u8>> {
    image.segments.notes.iter().find_map(|span| {
        let (address, size) = image.range(span.address, build_id::note_size(span))?;
        let into = usize::try_from(address.checked_sub(start)?).ok()?;
        build_id::find(head.get(into..into.checked_add(size)?)?, span.align)
    })
}
