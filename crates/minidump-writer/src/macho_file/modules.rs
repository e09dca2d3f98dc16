//! Modules of a core that does not tell them as our own do: from its list of images, or from its memory.

use super::image_header::{EXECUTABLE, HeaderReader, ImageHeader};
use super::notes::MainBinary;
use crate::convert::words::until_nul;
use crate::snapshot::{MachImage, MachSegment, Module, ModuleId, Protection};
use minidump_formats::apple_record::ListedImage;

/// Size of an image of which no more than the address is known.
const PAGE: u64 = 0x4000;
/// Where executables are linked to lie; libraries mostly at 0.
const EXECUTABLE_ADDRESS: u64 = 0x1_0000_0000;

/// The modules by address, without overlaps, and what only Mach-O tells of them.
pub fn modules(
    mut listed: Vec<ListedImage>,
    main: Option<MainBinary>,
    headers: &mut HeaderReader<'_>,
) -> (Vec<Module>, Vec<MachImage>) {
    listed.sort_by_key(|image| image.base);
    listed.dedup_by_key(|image| image.base);
    let ends: Vec<u64> = listed.iter().skip(1).map(|image| image.base).chain([u64::MAX]).collect();
    let (mut modules, mut images) = (Vec::new(), Vec::new());
    for (image, end) in listed.into_iter().zip(ends) {
        let header = headers.read(image.base);
        let is_main = is_main(&image, header.as_ref(), main);
        let size = size(&image, header.as_ref()).min(end.saturating_sub(image.base));
        if size == 0 {
            continue;
        }
        let told_slide = image.page_zero.or(main.filter(|_| is_main).and_then(|main| main.slide));
        images.extend(mach_image(&image, header.as_ref(), told_slide, is_main));
        let uuid = header.as_ref().and_then(|header| header.uuid).unwrap_or(image.uuid);
        let name = header.as_ref().and_then(|header| header.name.clone());
        let path = if image.path.is_empty() { name.clone().unwrap_or_default() } else { image.path };
        modules.push(Module {
            base: image.base,
            size,
            path,
            soname: name.and_then(|name| String::from_utf8(name).ok()),
            version: header.and_then(|header| header.version),
            id: Some(uuid).filter(|uuid| *uuid != [0; 16]).map(ModuleId::Uuid),
            is_main,
            deleted: false,
        });
    }
    (modules, images)
}

/// By the type of the file, or else by what only executables have, or the UUID of the note about the main one.
fn is_main(image: &ListedImage, header: Option<&ImageHeader>, main: Option<MainBinary>) -> bool {
    let is_told = main.is_some_and(|main| main.uuid != [0; 16] && main.uuid == image.uuid);
    header.map_or(image.page_zero.is_some() || is_told, |header| header.file_type == EXECUTABLE)
}

/// That of the text, or else the distance to the next segment.
fn size(image: &ListedImage, header: Option<&ImageHeader>) -> u64 {
    if let Some(text) = header.and_then(ImageHeader::text) {
        return text.size;
    }
    let above = image.segments.iter().map(|(_, address)| *address).filter(|address| *address > image.base);
    above.min().map_or(PAGE, |next| next - image.base)
}

fn mach_image(
    image: &ListedImage,
    header: Option<&ImageHeader>,
    told_slide: Option<u64>,
    is_main: bool,
) -> Option<MachImage> {
    let base = image.base;
    if let Some((header, slide)) = header.and_then(|header| Some((header, header.slide(base)?))) {
        let segments = header.segments.iter().map(|segment| MachSegment {
            name: segment.name,
            address: segment.address.wrapping_add(slide),
            size: segment.size,
            protection: segment.protection,
        });
        return Some(MachImage {
            base,
            slide,
            file_type: header.file_type,
            cpu_subtype: header.cpu_subtype,
            header_size: header.size,
            segments: segments.collect(),
            executing: image.executing,
        });
    }
    if image.segments.is_empty() {
        return None;
    }
    let linked_at = if is_main { EXECUTABLE_ADDRESS } else { 0 };
    Some(MachImage {
        base,
        slide: told_slide.unwrap_or(base.wrapping_sub(linked_at)),
        file_type: if is_main { EXECUTABLE } else { 0 },
        cpu_subtype: 0,
        header_size: 0,
        segments: segments_without_sizes(image),
        executing: image.executing,
    })
}

/// The segments of a list that tells only where they begin: each reaches to the next one, the last has no size.
fn segments_without_sizes(image: &ListedImage) -> Vec<MachSegment> {
    let next = |address: u64| {
        let above = image.segments.iter().map(|(_, other)| *other).filter(|other| *other > address);
        above.min()
    };
    let segment = |(name, address): &([u8; 16], u64)| MachSegment {
        name: *name,
        address: *address,
        size: next(*address).map_or(0, |next| next - address),
        protection: usual_protection(until_nul(name)),
    };
    image.segments.iter().map(segment).collect()
}

fn usual_protection(name: &[u8]) -> Protection {
    match name {
        b"__TEXT" => Protection::READ | Protection::EXECUTE,
        name if name.starts_with(b"__DATA") => Protection::READ | Protection::WRITE,
        _ => Protection::READ,
    }
}
