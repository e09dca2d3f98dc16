//! What a dump says.

use minidump::{
    Minidump, MinidumpException, MinidumpMiscInfo, MinidumpModuleList, MinidumpSystemInfo,
    MinidumpThreadList, Module as _,
};
use std::path::Path;

/// What the tests compare.
#[derive(Debug)]
pub struct Dump {
    pub code: u32,
    pub thread: u32,
    pub parameters: Vec<u64>,
    pub rip: u64,
    pub r12: u64,
    pub rsp: u64,
    pub threads: Vec<u32>,
    pub modules: Vec<(u64, u64, String)>,
    /// Whether the dump holds the memory at the crash's stack pointer.
    pub has_stack: bool,
    pub texts: Vec<u8>,
}

/// Reads a dump with a reader that is not ours.
pub fn read(path: &Path) -> Dump {
    let bytes = std::fs::read(path).unwrap();
    let dump = Minidump::read(&bytes[..]).unwrap();
    let exception = dump.get_stream::<MinidumpException>().unwrap();
    let system = dump.get_stream::<MinidumpSystemInfo>().unwrap();
    let misc = dump.get_stream::<MinidumpMiscInfo>();
    let context = exception.context(&system, misc.as_ref().ok()).unwrap();
    let memory = dump.get_memory().unwrap();
    let rsp = context.get_stack_pointer();
    let modules = dump.get_stream::<MinidumpModuleList>().unwrap();
    let record = &exception.raw.exception_record;
    Dump {
        code: record.exception_code,
        thread: exception.thread_id,
        parameters: record.exception_information[..record.number_parameters.min(15) as usize].to_vec(),
        rip: context.get_instruction_pointer(),
        r12: context.get_register("r12").unwrap(),
        rsp,
        threads: dump
            .get_stream::<MinidumpThreadList>()
            .unwrap()
            .threads
            .iter()
            .map(|it| it.raw.thread_id)
            .collect(),
        modules: modules
            .iter()
            .map(|it| (it.base_address(), it.size(), it.code_file().into_owned()))
            .collect(),
        has_stack: memory.memory_at_address(rsp).is_some(),
        texts: bytes,
    }
}

impl Dump {
    /// Whether its bytes hold a text, as UTF-8.
    pub fn holds(&self, text: &str) -> bool {
        self.texts.windows(text.len()).any(|window| window == text.as_bytes())
    }
}
