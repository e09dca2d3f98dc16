//! Images: what only Mach-O tells of modules.

use super::bytes::{Decoder, Encoder};
use super::names::{Names, NamesRead};
use minidump_snapshot::{MachImage, MachSegment, Module, Protection};

/// Most images, most segments of one that a reader of the note about images takes, and most segments in all.
const MAX_IMAGES: usize = 1 << 16;
const MAX_SEGMENTS: usize = 256;
const MAX_ALL_SEGMENTS: usize = 1 << 20;

/// An image of the note "all image infos".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// Path, as raw bytes; empty where it is not known.
    pub path: Vec<u8>,
    /// Zeros where it is not known.
    pub uuid: [u8; 16],
    /// Address of its Mach-O header.
    pub base: u64,
    /// Names and addresses, the slide included, without `__PAGEZERO`.
    pub segments: Vec<([u8; 16], u64)>,
    /// Where `__PAGEZERO` would lie: the slide. Only executables have it; LLDB lists it like any segment.
    pub page_zero: Option<u64>,
    /// Code of it was running.
    pub executing: bool,
}

/// An image without what the note about images tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageRecord {
    image: MachImage,
    /// Segments have sizes and rights alone, and names and addresses stand in the note, where it also stands whether code of
    /// the image was running.
    is_listed: bool,
    /// Index of the name of each segment, if it is not listed.
    names: Vec<u64>,
}

/// All images. Those at one of the addresses of `listed` are in the note "all image infos".
pub(super) fn encode<'a>(images: &'a [MachImage], listed: &[Module], names: &mut Names<'a>) -> Encoder {
    let mut to = Encoder::default();
    to.count(images.len());
    let mut before = (0_u64, 0_u64, 0_u32);
    for image in images {
        let is_listed = is_listed(image, listed);
        to.flag(is_listed);
        to.signed(image.base.wrapping_sub(before.0));
        // Images of the shared cache have one slide and one kind of processor.
        to.signed(image.slide.wrapping_sub(before.1));
        to.number(image.cpu_subtype ^ before.2);
        to.number(image.file_type);
        to.number(image.header_size);
        to.flag(image.executing);
        segments(image, is_listed, names, &mut to);
        before = (image.base, image.slide, image.cpu_subtype);
    }
    to
}

fn is_listed(image: &MachImage, modules: &[Module]) -> bool {
    let is_module = modules.binary_search_by_key(&image.base, |module| module.base).is_ok();
    let is_page_zero = |segment: &MachSegment| name(&segment.name) == b"__PAGEZERO";
    is_module && image.segments.len() <= MAX_SEGMENTS && !image.segments.iter().any(is_page_zero)
}

/// For each its size and rights, and unless they are listed, its name and its distance from the end of the one before.
fn segments<'a>(image: &'a MachImage, is_listed: bool, names: &mut Names<'a>, to: &mut Encoder) {
    to.count(image.segments.len());
    let mut end = image.base;
    for segment in &image.segments {
        to.number(segment.size);
        to.number(segment.protection.bits());
        if !is_listed {
            to.number(names.index(name(&segment.name)));
            to.signed(segment.address.wrapping_sub(end));
        }
        end = segment.address.wrapping_add(segment.size);
    }
}

/// Without its padding.
fn name(padded: &[u8; 16]) -> &[u8] {
    let end = padded.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    padded.get(..end).unwrap_or(padded)
}

pub(super) fn read(from: &mut Decoder<'_>) -> Option<Vec<ImageRecord>> {
    let mut before = (0_u64, 0_u64, 0_u32);
    let mut left = MAX_ALL_SEGMENTS;
    from.list(MAX_IMAGES, |from| {
        let is_listed = from.flag()?;
        let base = before.0.wrapping_add(from.signed()?);
        let slide = before.1.wrapping_add(from.signed()?);
        let cpu_subtype = from.small()? ^ before.2;
        before = (base, slide, cpu_subtype);
        let (file_type, header_size, executing) = (from.small()?, from.number()?, from.flag()?);
        let (segments, names) = read_segments(from, is_listed, base, left)?;
        left = left.saturating_sub(segments.len());
        let image = MachImage { base, slide, file_type, cpu_subtype, header_size, segments, executing };
        Some(ImageRecord { image, is_listed, names })
    })
}

fn read_segments(
    from: &mut Decoder<'_>,
    is_listed: bool,
    base: u64,
    most: usize,
) -> Option<(Vec<MachSegment>, Vec<u64>)> {
    let mut names = Vec::new();
    let mut end = base;
    let segments = from.list(most, |from| {
        let (size, rights) = (from.number()?, from.number()?.try_into().ok()?);
        let mut address = 0;
        if !is_listed {
            names.push(from.number()?);
            address = end.wrapping_add(from.signed()?);
        }
        end = address.wrapping_add(size);
        Some(MachSegment { name: [0; 16], address, size, protection: Protection::from_bits_truncate(rights) })
    })?;
    Some((segments, names))
}

impl ImageRecord {
    /// The image with what the note about images tells of it.
    pub(super) fn image(
        self,
        listed: impl FnOnce(u64) -> Option<ListedImage>,
        names: &NamesRead,
    ) -> MachImage {
        let mut image = self.image;
        if self.is_listed {
            let told = listed(image.base).map(|listed| listed.segments).unwrap_or_default();
            for (segment, (name, address)) in image.segments.iter_mut().zip(&told) {
                (segment.name, segment.address) = (*name, *address);
            }
            image.segments.truncate(told.len());
            return image;
        }
        for (segment, index) in image.segments.iter_mut().zip(self.names) {
            let name = names.get(index).unwrap_or_default();
            segment.name.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        }
        image
    }
}
