//! Which mappings an image consists of, and how far it reaches.

use super::super::maps::Mapping;
use super::elf_image::{Segments, page_ceil};
use minidump_snapshot::{Protection, RegionKind};

/// Most mappings looked at for one image.
const MAX_PIECES: usize = 4096;
/// Most load biases tried for one image.
const MAX_BIASES: usize = 4;

/// Where an image lies in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// First address.
    pub base: u64,
    /// First address behind the image.
    pub end: u64,
    /// How many mappings of the file lie where the program headers put them.
    pub pieces: usize,
    /// The first of these that is executable, as an index into the memory map.
    pub code: Option<usize>,
}

/// Whether two mappings are of the same file.
#[must_use]
pub fn same_file(a: &Mapping, b: &Mapping, text: &[u8]) -> bool {
    a.device == b.device && a.inode == b.inode && (a.inode != 0 || a.name(text) == b.name(text))
}

/// Places the image with these program headers, which starts at `origin` in the file of `piece`, so that `piece`
/// belongs to it. Where that fits in several ways (see [`Segments::pages_of_offset`]), the one counts that has
/// executable memory and the most mappings. Returns the load bias and the placement.
#[must_use]
pub fn fit(
    segments: &Segments,
    origin: u64,
    piece: &Mapping,
    mappings: &[Mapping],
    text: &[u8],
) -> Option<(u64, Placement)> {
    let rank = |placement: &Placement| (placement.code.is_some(), placement.pieces);
    let mut best: Option<(u64, Placement)> = None;
    let mut last = None;
    let mut tried = 0;
    for page in segments.pages_of_offset(piece.offset.checked_sub(origin)?) {
        if last == Some(page) {
            continue;
        }
        if tried == MAX_BIASES {
            break;
        }
        tried += 1;
        last = Some(page);
        let bias = piece.start.wrapping_sub(page);
        let placement = Claim { segments, bias, origin, file: piece }.place(mappings, text);
        // Of equals the first counts.
        if let Some(placement) = placement
            && best.as_ref().is_none_or(|(_, best)| rank(&placement) > rank(best))
        {
            best = Some((bias, placement));
        }
    }
    best
}

/// An image as its program headers describe it, and the load bias that turns their addresses into the target's.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The program headers.
    pub segments: &'a Segments,
    /// The load bias.
    pub bias: u64,
    /// Offset in the file at which the image starts.
    pub origin: u64,
    /// A mapping of the file.
    pub file: &'a Mapping,
}

impl Claim<'_> {
    /// Whether `mapping` is a piece of the file where the program headers put it. A data mapping of a file that is
    /// also loaded as a library lies elsewhere, and must not be taken for a piece of it.
    pub fn owns(&self, mapping: &Mapping, text: &[u8]) -> bool {
        let offset = mapping.offset.checked_sub(self.origin);
        same_file(mapping, self.file, text)
            && offset
                .is_some_and(|offset| self.segments.places(mapping.start.wrapping_sub(self.bias), offset))
    }

    /// Whether zero-initialised memory of the image begins at `address`.
    fn zeroes_at(&self, address: u64) -> bool {
        self.segments.loads.iter().any(|load| {
            let end = load.address.checked_add(load.file_size).and_then(page_ceil);
            load.memory_size > load.file_size && end == Some(address.wrapping_sub(self.bias))
        })
    }

    /// Finds the mappings of the image. The span that the program headers claim is cut down to what the memory map
    /// confirms: mappings of the file, and anonymous memory that continues them or is where zeroes belong. Holes
    /// between these are inside. `None` when no mapping of the file is where it should be.
    fn place(&self, mappings: &[Mapping], text: &[u8]) -> Option<Placement> {
        let (low, high) = self.segments.span()?;
        let claimed_base = self.bias.wrapping_add(low);
        let claimed_end = claimed_base.checked_add(high.checked_sub(low)?)?;
        let first = mappings.partition_point(|mapping| mapping.start < claimed_base);
        let mut found: Option<Placement> = None;
        for (index, mapping) in mappings.iter().enumerate().skip(first).take(MAX_PIECES) {
            if mapping.start >= claimed_end {
                break;
            }
            if self.owns(mapping, text) {
                let empty = Placement { base: mapping.start, end: 0, pieces: 0, code: None };
                let placement = found.get_or_insert(empty);
                placement.end = mapping.end;
                placement.pieces += 1;
                if placement.code.is_none() && mapping.protection.contains(Protection::EXECUTE) {
                    placement.code = Some(index);
                }
            } else if let Some(placement) = &mut found {
                let adjacent = mapping.start == placement.end;
                let extends = match mapping.kind(text) {
                    RegionKind::Anonymous | RegionKind::Heap => adjacent || self.zeroes_at(mapping.start),
                    // What the loader reserved between two segments.
                    _ => adjacent && mapping.protection.is_empty() && same_file(mapping, self.file, text),
                };
                if extends {
                    placement.end = mapping.end;
                }
            }
        }
        if let Some(placement) = &mut found {
            placement.end = placement.end.min(claimed_end);
        }
        found
    }
}
