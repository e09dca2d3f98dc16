//! A file looked at byte by byte, where the reader crate does not look.

use minidump::{Minidump, MinidumpStream};
use minidump_formats::apple_record::AppleRecord;

/// The record in `bytes`.
pub fn decode(bytes: &[u8]) -> Option<AppleRecord> {
    AppleRecord::decode(bytes, |json| serde_json::from_slice(json).ok())
}

pub struct Raw {
    pub bytes: Vec<u8>,
}

impl Raw {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub fn u8s<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.bytes[offset..offset + N].try_into().unwrap()
    }

    pub fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.u8s(offset))
    }

    pub fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.u8s(offset))
    }

    pub fn u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.u8s(offset))
    }

    /// A location descriptor as offset and size.
    pub fn location(&self, offset: usize) -> (usize, usize) {
        (self.u32(offset + 4) as usize, self.u32(offset) as usize)
    }

    pub fn slice(&self, (offset, size): (usize, usize)) -> &[u8] {
        &self.bytes[offset..offset + size]
    }

    /// Type, offset and size of every stream, in the order of the directory.
    pub fn directory(&self) -> Vec<(u32, usize, usize)> {
        let directory = self.u32(12) as usize;
        (0..self.u32(8) as usize)
            .map(|index| {
                let entry = directory + 12 * index;
                let (offset, size) = self.location(entry + 4);
                (self.u32(entry), offset, size)
            })
            .collect()
    }

    pub fn find(&self, stream_type: u32) -> Option<(usize, usize)> {
        let found = self.directory().into_iter().find(|(found, _, _)| *found == stream_type);
        found.map(|(_, offset, size)| (offset, size))
    }

    /// Offset and size of the stream.
    pub fn stream(&self, stream_type: u32) -> (usize, usize) {
        self.find(stream_type).unwrap_or_else(|| panic!("no stream {stream_type:#x}"))
    }

    pub fn content(&self, stream_type: u32) -> &[u8] {
        self.slice(self.stream(stream_type))
    }

    /// The `MINIDUMP_STRING` at `offset`; checks length and terminator.
    pub fn string(&self, offset: usize) -> String {
        let size = self.u32(offset) as usize;
        let units: Vec<u16> = (0..size / 2).map(|index| self.u16(offset + 4 + 2 * index)).collect();
        assert_eq!(self.u16(offset + 4 + size), 0, "the terminator");
        String::from_utf16(&units).unwrap()
    }

    pub fn reader(&self) -> Minidump<'_, &[u8]> {
        Minidump::read(self.bytes.as_slice()).unwrap()
    }

    /// A stream as the reader crate understands it. Leaks the reader, which tests may.
    pub fn read<S: MinidumpStream<'static>>(&self) -> S {
        let bytes: &'static [u8] = self.bytes.clone().leak();
        let dump = Box::leak(Box::new(Minidump::read(bytes).unwrap()));
        dump.get_stream::<S>().unwrap()
    }
}
