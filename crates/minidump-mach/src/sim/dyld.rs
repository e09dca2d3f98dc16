//! dyld's own structures, as they lie in its data (mach-o/dyld_images.h).

use super::SimError;
use super::map::{Map, SimRegion};
use crate::RegionTag;
use minidump_snapshot::SharedCache;

/// Where dyld's data lie behind its header.
const DATA_OFFSET: u64 = 0x10_0000;

/// Size of `dyld_all_image_infos` of version 18.
const INFOS_SIZE: u64 = 368;

/// What dyld knows.
#[derive(Debug)]
pub(super) struct DyldLayout {
    pub version: u32,
    /// What the kernel tells of the structure's size.
    pub size: u64,
    /// Header and path of dyld.
    pub dyld: Option<(u64, Vec<u8>)>,
    /// Header and path of each image.
    pub images: Vec<(u64, Vec<u8>)>,
    pub cache: Option<SharedCache>,
    pub cache_size: u64,
    pub error: Option<Vec<u8>>,
}

impl Default for DyldLayout {
    fn default() -> Self {
        let (version, size) = (18, INFOS_SIZE);
        Self { version, size, dyld: None, images: Vec::new(), cache: None, cache_size: 0, error: None }
    }
}

/// Bytes that will lie at `base`.
struct Data {
    base: u64,
    bytes: Vec<u8>,
}

impl Data {
    /// Appends `bytes` at a multiple of eight; returns their address.
    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let address = self.base + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        address
    }

    /// Appends a C string.
    fn text(&mut self, text: &[u8]) -> u64 {
        let address = self.base + self.bytes.len() as u64;
        self.bytes.extend_from_slice(text);
        self.bytes.push(0);
        address
    }

    fn set(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(offset..offset + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}

/// Maps dyld's data. Returns address and size of `dyld_all_image_infos`, and for each of `queues` the address of the
/// pointer to the queue.
pub(super) fn lay_out(
    layout: &DyldLayout,
    queues: Vec<Option<Vec<u8>>>,
    map: &mut Map,
) -> Result<(u64, u64, Vec<Option<u64>>), SimError> {
    let (dyld, dyld_path) = layout.dyld.clone().unwrap_or_default();
    let base = dyld.saturating_add(DATA_OFFSET);
    let mut data = Data { base, bytes: vec![0; 368] };
    let paths: Vec<u64> = layout.images.iter().map(|(_, path)| data.text(path)).collect();
    let entries = layout.images.iter().zip(paths).flat_map(|((load, _), path)| [*load, path, 0]);
    let entries: Vec<u8> = entries.flat_map(u64::to_le_bytes).collect();
    let array = data.push(&entries);
    let count = u32::try_from(layout.images.len()).unwrap_or(u32::MAX);
    data.set(0, &layout.version.to_le_bytes());
    data.set(4, &count.to_le_bytes());
    data.set(8, &array.to_le_bytes());
    data.set(24, &[0, 1]);
    data.set(32, &dyld.to_le_bytes());
    data.set(104, &base.to_le_bytes());
    let path = data.text(&dyld_path);
    data.set(192, &path.to_le_bytes());
    if let Some(error) = &layout.error {
        let address = data.text(error);
        data.set(56, &address.to_le_bytes());
        data.set(120, &1_u64.to_le_bytes());
    }
    if let Some(cache) = &layout.cache {
        data.set(152, &cache.slide.to_le_bytes());
        data.set(160, &cache.uuid);
        data.set(176, &cache.base.to_le_bytes());
    }
    data.set(184, &0x1234_5678_u64.to_le_bytes());
    data.set(320, &1_u32.to_le_bytes());
    let queues = queues.into_iter().map(|label| label.map(|label| queue(&mut data, &label))).collect();
    let size = (data.bytes.len() as u64).next_multiple_of(0x4000);
    if !map.add(base, size, SimRegion::data(RegionTag::DYLD.0)) {
        return Err(SimError::Occupied { start: base, size });
    }
    map.write(base, &data.bytes);
    Ok((base, layout.size, queues))
}

/// A dispatch queue, and the pointer to it that a thread has.
fn queue(data: &mut Data, label: &[u8]) -> u64 {
    const LABEL: usize = 72;
    let label = data.text(label);
    let mut queue = [0; 128];
    if let Some(place) = queue.get_mut(LABEL..LABEL + 8) {
        place.copy_from_slice(&label.to_le_bytes());
    }
    let queue = data.push(&queue);
    data.push(&queue.to_le_bytes())
}
