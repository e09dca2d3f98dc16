//! Reads a dump with the ecosystem's own reader.

use minidump::{Minidump, MinidumpThreadList, MinidumpThreadNames, UnifiedMemoryList};
use minidump_writer::{DumpOptions, DumpReport, dump_self};

/// A dump of this process, parsed.
pub struct Dump {
    pub report: DumpReport,
    pub parsed: Minidump<'static, Vec<u8>>,
}

impl Dump {
    /// Takes one.
    #[track_caller]
    pub fn take() -> Self {
        let mut bytes = Vec::new();
        let report = dump_self(&DumpOptions::default(), &mut bytes).unwrap();
        assert_eq!(report.bytes, bytes.len() as u64);
        Self::parse(report, bytes)
    }

    /// Parses one that was taken.
    pub fn parse(report: DumpReport, bytes: Vec<u8>) -> Self {
        Self { report, parsed: Minidump::read(bytes).unwrap() }
    }

    pub fn threads(&self) -> MinidumpThreadList<'_> {
        self.parsed.get_stream().unwrap()
    }

    pub fn name(&self, thread: u32) -> String {
        let names: MinidumpThreadNames = self.parsed.get_stream().unwrap();
        names.get_name(thread).unwrap().into_owned()
    }

    pub fn memory(&self) -> UnifiedMemoryList<'_> {
        self.parsed.get_memory().unwrap()
    }

    /// `count` bytes of the stack of `thread` from `address` on; `None` when they are not on it.
    pub fn stack(&self, thread: u32, address: usize, count: usize) -> Option<Vec<u8>> {
        let (threads, memory) = (self.threads(), self.memory());
        let stack = threads.get_thread(thread)?.stack_memory(&memory)?;
        let start = usize::try_from(address as u64 - stack.base_address()).ok()?;
        stack.bytes().get(start..start + count).map(<[u8]>::to_vec)
    }

    /// All words of the stack of `thread`, from its stack pointer up.
    pub fn stack_words(&self, thread: u32) -> Vec<u64> {
        let (threads, memory) = (self.threads(), self.memory());
        let stack = threads.get_thread(thread).unwrap().stack_memory(&memory).unwrap();
        stack.bytes().chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
    }
}

/// Id of the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() }.unsigned_abs()
}
