//! The streams of our own that hold what Microsoft's structures have no room for, read from the bytes.
//!
//! Both begin with a header of four 32-bit words: its own size, the size of an entry, the number of entries, zero.

use crate::Dump;

/// Stream of facts about threads.
const THREAD_EXTRA: u32 = 0x4d44_0002;
/// Stream of XSAVE areas.
const XSAVE_LIST: u32 = 0x4d44_0003;

/// Little-endian 32-bit word at `offset`.
#[track_caller]
pub fn word32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

/// Little-endian 64-bit word at `offset`.
#[track_caller]
pub fn word64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

impl Dump {
    /// The XSAVE area of a thread in standard format; `None` when the dump has none for it.
    #[track_caller]
    pub fn xsave(&self, tid: u32) -> Option<Vec<u8>> {
        let entry = self.entry(XSAVE_LIST, tid)?;
        let (size, offset) = (word32(&entry, 8) as usize, word32(&entry, 12) as usize);
        Some(self.bytes[offset..offset + size].to_vec())
    }

    /// FS base and GS base of a thread; `None` when its registers are unknown.
    #[track_caller]
    pub fn segment_bases(&self, tid: u32) -> Option<(u64, u64)> {
        let entry = self.entry(THREAD_EXTRA, tid)?;
        (word32(&entry, 4) & 1 != 0).then(|| (word64(&entry, 8), word64(&entry, 16)))
    }

    /// Offset and size of component `index` in the XSAVE areas, as the miscellaneous information tells.
    #[track_caller]
    pub fn xsave_component(&self, index: usize) -> (usize, usize) {
        let dump = self.parse();
        let misc: minidump::MinidumpMiscInfo = dump.get_stream().expect("there is miscellaneous information");
        let (_, feature) = misc.raw.xstate_data().unwrap().iter().find(|(found, _)| *found == index).unwrap();
        (feature.offset as usize, feature.size as usize)
    }

    fn entry(&self, stream: u32, tid: u32) -> Option<Vec<u8>> {
        let stream = self.stream(stream)?;
        let (header, size) = (word32(&stream, 0) as usize, word32(&stream, 4) as usize);
        let entries = stream[header..].chunks_exact(size).take(word32(&stream, 8) as usize);
        entries.into_iter().find(|entry| word32(entry, 0) == tid).map(<[u8]>::to_vec)
    }
}
