//! Which images are loaded, by the core's memory alone: dyld's own list, and Mach-O headers wherever they lie.

use super::commands::Segment;
use super::image_header::{DYNAMIC_LINKER, HeaderReader};
use super::notes::{MAX_IMAGES, MAX_PATH};
use crate::convert::FileMemory;
use crate::convert::words::{u32_at, u64_at, until_nul};
use crate::snapshot::MemorySource as _;
use minidump_formats::apple_record::ListedImage;
use std::collections::BTreeMap;

/// Headers begin at multiples of this.
const PAGE: u64 = 4096;
/// Most pages that are looked at, of one segment and in all.
const MAX_PAGES_OF_SEGMENT: u64 = 1 << 16;
const MAX_PAGES: u64 = 1 << 18;

/// What a header tells, as far as it takes to know the images.
struct Found {
    name: Vec<u8>,
    is_linker: bool,
    /// Where dyld's list lies.
    list: Option<u64>,
}

/// The images, in no order, and where dyld's list of them lies.
pub fn find(
    headers: &mut HeaderReader<'_>,
    segments: &[Segment],
    cpu_type: u32,
) -> (Vec<ListedImage>, Option<u64>) {
    let found = scan(headers, segments, cpu_type);
    let memory = headers.memory();
    let list = found.values().find(|image| image.is_linker).and_then(|linker| linker.list);
    let list = list.filter(|list| memory.read_array::<16>(*list).is_some());
    let paths = list.map(|list| listed(memory, list)).unwrap_or_default();
    let mut images: BTreeMap<u64, ListedImage> =
        paths.into_iter().map(|(base, path)| (base, image(base, path))).collect();
    for (base, found) in found {
        images.entry(base).or_insert_with(|| image(base, found.name));
    }
    (images.into_values().collect(), list)
}

/// The headers at the beginnings of pages, by address.
fn scan(headers: &mut HeaderReader<'_>, segments: &[Segment], cpu_type: u32) -> BTreeMap<u64, Found> {
    let mut found = BTreeMap::new();
    let mut left = MAX_PAGES;
    for segment in segments.iter().filter(|segment| segment.file_size > 0) {
        let pages = (segment.file_size / PAGE).min(MAX_PAGES_OF_SEGMENT).min(left);
        left -= pages;
        let addresses = (0..pages).map_while(|page| segment.address.checked_add(page * PAGE));
        for address in addresses {
            if let Some(header) = headers.read(address)
                && header.cpu_type == cpu_type
                && found.len() < MAX_IMAGES
            {
                let list = header.image_list.zip(header.slide(address));
                let list = list.map(|(list, slide)| list.wrapping_add(slide));
                let is_linker = header.file_type == DYNAMIC_LINKER;
                found.insert(address, Found { name: header.name.unwrap_or_default(), is_linker, list });
            }
        }
    }
    found
}

fn image(base: u64, path: Vec<u8>) -> ListedImage {
    ListedImage { path, uuid: [0; 16], base, segments: Vec::new(), page_zero: None, executing: false }
}

/// dyld's list (<mach-o/dyld_images.h>): addresses and paths. Version, count and address of the array; in the array for
/// each image its address, that of its path, and a time.
fn listed(memory: &FileMemory, list: u64) -> Vec<(u64, Vec<u8>)> {
    let Some(head) = memory.read_array::<16>(list) else { return Vec::new() };
    let (Some(count), Some(array)) = (u32_at(&head, 4), u64_at(&head, 8)) else { return Vec::new() };
    let count = u64::from(count).min(MAX_IMAGES as u64);
    let entry = |index: u64| {
        let entry: [u8; 24] = memory.read_array(array.checked_add(index * 24)?)?;
        Some((u64_at(&entry, 0)?, path(memory, u64_at(&entry, 8)?)))
    };
    (0..count).map_while(entry).collect()
}

/// The text at `address`, as far as it can be read.
fn path(memory: &FileMemory, address: u64) -> Vec<u8> {
    let mut bytes = vec![0; MAX_PATH];
    let done = memory.read(address, &mut bytes).done;
    bytes.truncate(done);
    until_nul(&bytes).to_vec()
}
