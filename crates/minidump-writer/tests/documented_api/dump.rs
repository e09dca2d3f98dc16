//! Reads a dump.

use minidump::{
    Minidump, MinidumpMemoryList, MinidumpMiscInfo, MinidumpModuleList, MinidumpRawContext,
    MinidumpSystemInfo, MinidumpThreadList, format::CONTEXT_AMD64,
};
use minidump_writer::minidump_writer::MinidumpWriter;
use std::io::Cursor;

/// The stream of soft errors.
const SOFT_ERRORS: u32 = 0x4d7a_0004;

/// A dump.
pub struct Dump {
    pub minidump: Minidump<'static, Vec<u8>>,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Dump {
    /// Writes and reads it.
    pub fn of(writer: &mut MinidumpWriter) -> Self {
        Self::read(writer.dump(&mut Cursor::new(Vec::new())).unwrap())
    }

    pub fn read(bytes: Vec<u8>) -> Self {
        Self { minidump: Minidump::read(bytes.clone()).unwrap(), bytes }
    }

    pub fn memory(&self) -> MinidumpMemoryList<'_> {
        self.minidump.get_stream().unwrap()
    }

    /// `size` bytes at `address`, if all of them are there.
    pub fn bytes_at(&self, address: u64, size: usize) -> Option<Vec<u8>> {
        let memory = self.memory();
        let block = memory.memory_at_address(address)?;
        let start = usize::try_from(address - block.base_address).unwrap();
        block.bytes.get(start..start + size).map(<[u8]>::to_vec)
    }

    /// `count` words at `address`, if all of them are there.
    pub fn words_at(&self, address: u64, count: usize) -> Option<Vec<u64>> {
        let bytes = self.bytes_at(address, count * 8)?;
        Some(bytes.as_chunks().0.iter().copied().map(u64::from_le_bytes).collect())
    }

    pub fn modules(&self) -> MinidumpModuleList {
        self.minidump.get_stream().unwrap()
    }

    /// Ids and registers of the threads, in the order of the file.
    pub fn threads(&self) -> Vec<(i32, CONTEXT_AMD64)> {
        let system: MinidumpSystemInfo = self.minidump.get_stream().unwrap();
        let misc: Option<MinidumpMiscInfo> = self.minidump.get_stream().ok();
        let threads: MinidumpThreadList = self.minidump.get_stream().unwrap();
        let registers = |thread: &minidump::MinidumpThread<'_>| {
            let context = thread.context(&system, misc.as_ref()).expect("every thread has registers");
            match &context.raw {
                MinidumpRawContext::Amd64(raw) => (thread.raw.thread_id.cast_signed(), raw.clone()),
                other => panic!("not of x86-64: {other:?}"),
            }
        };
        threads.threads.iter().map(registers).collect()
    }

    /// The text of the soft errors.
    pub fn soft_errors(&self) -> String {
        let bytes = self.minidump.get_raw_stream(SOFT_ERRORS).unwrap_or_default();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}
