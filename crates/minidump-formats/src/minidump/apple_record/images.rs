use super::text::Text;
use minidump_snapshot::{MachImage, MachSegment, Protection};
use serde::{Deserialize, Serialize};

/// A segment: name without its padding, first address, size in bytes, rights (1 read, 2 write, 4 execute).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SegmentRecord(Text, u64, u64, u8);

/// What only Mach-O tells of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ImageRecord {
    base: u64,
    slide: u64,
    file_type: u32,
    cpu_subtype: u32,
    header_size: u64,
    segments: Vec<SegmentRecord>,
    executing: bool,
}

impl ImageRecord {
    pub(super) fn new(image: &MachImage) -> Self {
        let segment = |segment: &MachSegment| {
            let end = segment.name.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let name = Text::new(segment.name.get(..end).unwrap_or(&segment.name));
            SegmentRecord(name, segment.address, segment.size, segment.protection.bits())
        };
        Self {
            base: image.base,
            slide: image.slide,
            file_type: image.file_type,
            cpu_subtype: image.cpu_subtype,
            header_size: image.header_size,
            segments: image.segments.iter().map(segment).collect(),
            executing: image.executing,
        }
    }

    pub(super) fn into_image(self) -> MachImage {
        MachImage {
            base: self.base,
            slide: self.slide,
            file_type: self.file_type,
            cpu_subtype: self.cpu_subtype,
            header_size: self.header_size,
            segments: self.segments.into_iter().map(SegmentRecord::into_segment).collect(),
            executing: self.executing,
        }
    }

    pub(super) fn size_hint(&self) -> usize {
        self.segments.len().saturating_mul(56).saturating_add(160)
    }
}

impl SegmentRecord {
    fn into_segment(self) -> MachSegment {
        let Self(text, address, size, protection) = self;
        let mut name = [0; 16];
        for (slot, byte) in name.iter_mut().zip(text.into_bytes()) {
            *slot = byte;
        }
        MachSegment { name, address, size, protection: Protection::from_bits_truncate(protection) }
    }
}
