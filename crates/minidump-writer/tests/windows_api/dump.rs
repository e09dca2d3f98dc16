//! Dumps, read.

use minidump::format::CONTEXT_AMD64;
use minidump::{
    Minidump, MinidumpBreakpadInfo, MinidumpContext, MinidumpException, MinidumpMiscInfo, MinidumpRawContext,
    MinidumpSystemInfo, MinidumpThreadList,
};
use std::fs::File;
use std::io::{Read as _, Seek as _};

/// A dump.
pub struct Dump {
    pub minidump: Minidump<'static, Vec<u8>>,
}

impl Dump {
    /// What `write` puts into a file.
    pub fn of<E: std::fmt::Debug>(write: impl FnOnce(&mut File) -> Result<(), E>) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        write(&mut file).unwrap();
        let end = file.stream_position().unwrap();
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, end, "the position is the end of the dump");
        Self { minidump: Minidump::read(bytes).unwrap() }
    }

    pub fn exception(&self) -> MinidumpException<'_> {
        self.minidump.get_stream().unwrap()
    }

    /// Code and parameters of the exception.
    pub fn exception_record(&self) -> (u32, Vec<u64>) {
        let record = self.exception().raw.exception_record;
        let count = usize::try_from(record.number_parameters).unwrap();
        (record.exception_code, record.exception_information[..count].to_vec())
    }

    /// Registers of the exception.
    pub fn registers(&self) -> CONTEXT_AMD64 {
        let system: MinidumpSystemInfo = self.minidump.get_stream().unwrap();
        let misc = self.minidump.get_stream::<MinidumpMiscInfo>().ok();
        let context = self.exception().context(&system, misc.as_ref()).map(std::borrow::Cow::into_owned);
        match context {
            Some(MinidumpContext { raw: MinidumpRawContext::Amd64(registers), .. }) => registers,
            other => panic!("{other:?}"),
        }
    }

    /// Ids of the threads.
    pub fn threads(&self) -> Vec<u32> {
        let threads: MinidumpThreadList = self.minidump.get_stream().unwrap();
        threads.threads.iter().map(|thread| thread.raw.thread_id).collect()
    }

    /// The thread that wrote the dump, and the one that it was written for.
    pub fn breakpad_threads(&self) -> (u32, u32) {
        let info: MinidumpBreakpadInfo = self.minidump.get_stream().unwrap();
        (info.dump_thread_id.unwrap(), info.requesting_thread_id.unwrap())
    }

    /// A stream as it is.
    pub fn stream(&self, kind: u32) -> Option<Vec<u8>> {
        self.minidump.get_raw_stream(kind).ok().map(<[u8]>::to_vec)
    }

    /// Whether the dump has the memory at `address`.
    pub fn has_memory_at(&self, address: u64) -> bool {
        self.minidump.get_memory().unwrap().memory_at_address(address).is_some()
    }
}
