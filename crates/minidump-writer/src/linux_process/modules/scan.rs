//! Finding images by the ELF headers in target memory.

use super::super::maps::{Mapping, index_of};
use super::batch::Batch;
use super::build_id;
use super::elf_image::{HEADER_SIZE, Header, MAX_TABLE_SIZE, Segments};
use super::image::{Image, Target};
use super::placement::{self, Claim, Placement, same_file};
use minidump_snapshot::{ModuleId, Protection};
use std::collections::BTreeMap;

/// Bytes read where an image is likely to start. File header, program headers and mostly the notes behind them fit.
const LIKELY_SIZE: usize = 1024;
/// Candidates read in one batch, which bounds its buffer to 512 KiB.
const BATCH: usize = 512;

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

/// A mapping that may begin with an ELF header.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    /// Index into the memory map.
    index: usize,
    mapping: &'a Mapping,
    /// Bytes to read.
    size: usize,
    /// Whether the mapping of a file before it is of another file.
    is_first: bool,
}

/// The images whose headers memory holds, in the order of the memory map.
pub fn scan(target: &Target<'_>) -> Vec<Image> {
    let (firsts, others): (Vec<_>, Vec<_>) =
        candidates(target).into_iter().partition(|candidate| candidate.is_first);
    let mut images = Vec::new();
    for batch in firsts.chunks(BATCH) {
        images.extend(scan_batch(target, batch));
    }
    // Nearly all further mappings of a file are pieces of the image that its first begins. These are not read.
    images.sort_by_key(|image| image.base);
    let is_piece = |candidate: &Candidate<'_>| {
        let next = images.partition_point(|image| image.base <= candidate.mapping.start);
        let image = next.checked_sub(1).and_then(|at| images.get(at));
        image.is_some_and(|image| is_piece_of(target, image, candidate.mapping))
    };
    let others: Vec<_> = others.into_iter().filter(|candidate| !is_piece(candidate)).collect();
    for batch in others.chunks(BATCH) {
        images.extend(scan_batch(target, batch));
    }
    images.sort_by_key(|image| image.mapping);
    images
}

fn is_piece_of(target: &Target<'_>, image: &Image, mapping: &Mapping) -> bool {
    let Some(file) = target.mappings.get(image.mapping).filter(|_| !image.is_vdso) else { return false };
    let claim = Claim { segments: &image.segments, bias: image.bias, origin: image.origin, file };
    mapping.start < image.end && claim.owns(mapping, target.text)
}

fn scan_batch(target: &Target<'_>, candidates: &[Candidate<'_>]) -> Vec<Image> {
    let ranges: Vec<_> = candidates.iter().map(|one| (one.mapping.start, one.size)).collect();
    let heads = Batch::read(target.memory, &ranges);
    let mut images = Vec::with_capacity(candidates.len());
    let mut missing = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let head = heads.get(at);
        let Some(header) = Header::parse(head) else { continue };
        match table(head, &header) {
            Some(table) => images.extend(accept(target, candidate.index, header, table, head)),
            None => missing.push((candidate.index, candidate.mapping, header)),
        }
    }
    images.extend(scan_far_tables(target, &missing));
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
fn candidates<'a>(target: &Target<'a>) -> Vec<Candidate<'a>> {
    let files = Files::read(target);
    let mut previous = None;
    let mut out = Vec::with_capacity(files.of_mappings.len());
    for (index, mapping) in target.mappings.iter().enumerate() {
        if is_vdso(target, mapping) {
            out.push(Candidate { index, mapping, size: LIKELY_SIZE, is_first: true });
        }
        let Some(file) = files.of(index) else { continue };
        let is_first = previous.replace(file) != Some(file);
        let usage = files.uses.get(file).copied().unwrap_or_default();
        // Reading pulls pages of the file into memory, so files that look like data are left alone.
        let size = match (usage.executable || usage.named, mapping.offset == 0) {
            (true, true) => LIKELY_SIZE,
            (true, false) if is_first => LIKELY_SIZE,
            (true, false) => HEADER_SIZE,
            (false, true) if usage.pieces > 1 => LIKELY_SIZE,
            (false, _) => continue,
        };
        let size = size.min(usize::try_from(mapping.size()).unwrap_or(usize::MAX));
        out.push(Candidate { index, mapping, size, is_first });
    }
    out
}

/// The files that are mapped.
struct Files {
    uses: Vec<FileUse>,
    /// Pairs of a mapping and its file, as indices into the memory map and into `uses`; sorted.
    of_mappings: Vec<(usize, usize)>,
}

impl Files {
    fn read(target: &Target<'_>) -> Self {
        let mut files = Self { uses: Vec::new(), of_mappings: Vec::new() };
        let mut numbers = BTreeMap::new();
        let mut previous: Option<(&Mapping, usize)> = None;
        for (index, mapping) in target.mappings.iter().enumerate() {
            if !target.may_hold_image(mapping) {
                continue;
            }
            // The mappings of a file mostly follow one another.
            let known = previous.filter(|(previous, _)| same_file(previous, mapping, target.text));
            let file = known.map_or_else(
                || *numbers.entry(key(mapping, target.text)).or_insert(files.uses.len()),
                |(_, file)| file,
            );
            previous = Some((mapping, file));
            if file == files.uses.len() {
                files.uses.push(FileUse::default());
            }
            if let Some(usage) = files.uses.get_mut(file) {
                usage.pieces += 1;
                usage.executable |= mapping.protection.contains(Protection::EXECUTE);
            }
            files.of_mappings.push((index, file));
        }
        files.mark_named(target);
        files
    }

    /// Marks the files that the loader's list or the auxiliary vector point into.
    fn mark_named(&mut self, target: &Target<'_>) {
        let listed = target.loader.map(|loader| loader.link_maps.as_slice()).unwrap_or_default();
        let named = listed.iter().flat_map(|entry| [entry.dynamic, entry.base]);
        for address in named.chain([target.auxv.phdr, target.auxv.entry].into_iter().flatten()) {
            let file = index_of(target.mappings, address).and_then(|index| self.of(index));
            if let Some(usage) = file.and_then(|file| self.uses.get_mut(file)) {
                usage.named = true;
            }
        }
    }

    /// The file of mapping number `index`.
    fn of(&self, index: usize) -> Option<usize> {
        let at = self.of_mappings.binary_search_by_key(&index, |(mapping, _)| *mapping).ok()?;
        self.of_mappings.get(at).map(|(_, file)| *file)
    }
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
