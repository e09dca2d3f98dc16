//! The id and the SONAME of images, from memory and, where memory does not tell, from the file.

use super::super::maps::Mapping;
use super::batch::Batch;
use super::dynamic::{self, Dynamic};
use super::elf_image::Header;
use super::from_file::{FileFacts, NoFacts};
use super::image::{Image, Target};
use super::sections::ImageBytes;
use super::{build_id, text_hash, unclaimed};
use minidump_snapshot::{MemorySource, ModuleId, SoftError, Stage};

/// Images read in one batch; with at most 24 KiB each, that bounds its buffer to 12 MiB.
const BATCH: usize = 512;
/// Most bytes of all notes of one image.
const MAX_NOTES: usize = build_id::MAX_NOTE_SEGMENT;

/// Fills in ids and SONAMEs of `images`.
pub fn identify(target: &Target<'_>, images: &mut [Image], soft_errors: &mut Vec<SoftError>) {
    for batch in images.chunks_mut(BATCH) {
        let dynamics = read_notes_and_dynamic(target.memory, batch);
        read_sonames(target.memory, batch, &dynamics);
    }
    // Of an image without program headers nothing more is known, and that has been reported.
    for image in images.iter_mut().filter(|image| image.id.is_none() && !image.segments.loads.is_empty()) {
        identify_by_contents(target, image, soft_errors);
    }
}

/// Reads notes, where the id is not known yet, and the dynamic section of each image.
fn read_notes_and_dynamic(memory: &dyn MemorySource, images: &mut [Image]) -> Vec<Dynamic> {
    let mut ranges = Vec::new();
    let mut plans = Vec::new();
    for image in images.iter() {
        let notes_start = ranges.len();
        let mut aligns = Vec::new();
        let mut left = MAX_NOTES;
        let notes = if image.id.is_none() { image.segments.notes.as_slice() } else { &[] };
        for span in notes {
            if let Some(range) = image.range(span.address, build_id::note_size(span).min(left)) {
                left -= range.1;
                ranges.push(range);
                aligns.push(span.align);
            }
        }
        let dynamic = image.segments.dynamic.and_then(|span| {
            let size = usize::try_from(span.size).unwrap_or(usize::MAX).min(dynamic::MAX_DYNAMIC);
            image.range(span.address, size)
        });
        plans.push((notes_start, aligns, dynamic.map(|_| ranges.len())));
        ranges.extend(dynamic);
    }
    let batch = Batch::read(memory, &ranges);
    let mut dynamics = Vec::with_capacity(images.len());
    for (image, (notes_start, aligns, dynamic)) in images.iter_mut().zip(plans) {
        let mut notes = aligns.iter().enumerate();
        if let Some(id) =
            notes.find_map(|(index, align)| build_id::find(batch.get(notes_start + index), *align))
        {
            image.id = Some(ModuleId::BuildId(id));
        }
        let bytes = dynamic.map(|index| batch.get(index)).unwrap_or_default();
        dynamics.push(Dynamic::parse(bytes, image.class));
    }
    dynamics
}

fn read_sonames(memory: &dyn MemorySource, images: &mut [Image], dynamics: &[Dynamic]) {
    let range = |(image, dynamic): (&Image, &Dynamic)| {
        let (offset, size) = dynamic.soname_range()?;
        let strings = dynamic.strings?;
        // glibc writes the relocated address into the dynamic section; musl does not, and nobody does in the vdso.
        let relocated = image.clamp(strings, 1).is_some();
        let strings = if relocated { strings } else { image.bias.wrapping_add(strings) };
        image.clamp(strings.checked_add(offset)?, size)
    };
    // An image without a SONAME has an empty range, so that positions stay the same.
    let ranges: Vec<_> = images.iter().zip(dynamics).map(|pair| range(pair).unwrap_or_default()).collect();
    let batch = Batch::read(memory, &ranges);
    for (index, image) in images.iter_mut().enumerate() {
        if let Some(soname) = dynamic::soname(batch.get(index)) {
            image.soname = Some(soname);
        }
    }
}

/// Identifies an image whose notes in memory hold no build id: by its file, or else by its text in memory.
fn identify_by_contents(target: &Target<'_>, image: &mut Image, soft_errors: &mut Vec<SoftError>) {
    let (why, os_error) = match read_file(target, image) {
        Ok(facts) => {
            image.id = facts.id;
            image.soname = image.soname.take().or(facts.soname);
            ("its file has neither a build id nor a section .text".to_owned(), None)
        }
        Err(error) => {
            image.replaced |= error.is_replaced();
            (error.to_string(), error.os_error())
        }
    };
    if image.id.is_none() {
        let hash = image.header.and_then(|header| hash_memory(target, image, &header));
        image.id = hash.map(ModuleId::TextHash);
    }
    if image.id.is_none() {
        let name =
            target.mappings.get(image.mapping).map(|mapping| mapping.path(target.text)).unwrap_or_default();
        let message = format!(
            "{} has no id, as memory shows neither a build id nor the text section, and {why}",
            String::from_utf8_lossy(&name)
        );
        let error = SoftError::new(Stage::Module, message).range(image.base, image.end - image.base);
        soft_errors.push(error.os_error(os_error));
    }
}

fn read_file(target: &Target<'_>, image: &Image) -> Result<FileFacts, NoFacts> {
    let mapping = target.mappings.get(image.mapping).ok_or(NoFacts::NoImage)?;
    let files = target.files.filter(|_| !image.is_vdso).ok_or(NoFacts::NoFile)?;
    let sampled = image.code.and_then(|index| target.mappings.get(index)).unwrap_or(mapping);
    let sample = unclaimed::sample(target, sampled);
    files.facts(mapping, &mapping.path(target.text), vec![image.origin], sample)
}

/// The bytes of an image by offset in its file, as far as they are mapped.
struct MemoryImage<'a> {
    memory: &'a dyn MemorySource,
    image: &'a Image,
    /// The mapping at the start of the image. It holds whole pages of the file: also what stands behind the last
    /// segment in it.
    first: &'a Mapping,
}

impl ImageBytes for MemoryImage<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let in_first = self.first.size().checked_sub(offset).filter(|left| *left > 0);
        let (address, left) = match in_first {
            Some(left) => (self.first.start.wrapping_add(offset), left),
            None => match self.image.segments.address_of_offset(offset) {
                Some((address, left)) => (self.image.bias.wrapping_add(address), left),
                None => return 0,
            },
        };
        let size = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        buffer.get_mut(..size).map_or(0, |buffer| self.memory.read(address, buffer).done)
    }
}

fn hash_memory(target: &Target<'_>, image: &Image, header: &Header) -> Option<[u8; 16]> {
    let first = target.mappings.get(image.mapping)?;
    text_hash::text_hash(&MemoryImage { memory: target.memory, image, first }, header)
}
