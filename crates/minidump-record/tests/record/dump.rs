//! Runs the crashing program, and reads what it wrote with the `minidump` crate.

use super::child::{FILE, SCENARIO};
use minidump::system_info::{Cpu, Os};
use minidump::{
    Minidump, MinidumpContext, MinidumpException, MinidumpMemoryList, MinidumpMiscInfo, MinidumpModule,
    MinidumpModuleList, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList, Module,
};
use object::{Object, ObjectSymbol};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub struct Dump {
    pub bytes: Vec<u8>,
    /// Exit status, or the signal that ended it.
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    pub pid: u32,
}

/// Lets the program crash. `before` is what the file holds before.
pub fn crash_over(scenario: &str, before: &[u8]) -> Dump {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("dump");
    std::fs::write(&path, before).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(SCENARIO, scenario)
        .env(FILE, &path)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let status = child.wait().unwrap();
    Dump { bytes: std::fs::read(path).unwrap(), exit: status.code(), signal: status.signal(), pid }
}

/// Lets the program crash and write a whole dump.
pub fn crash(scenario: &str) -> Dump {
    let dump = crash_over(scenario, b"");
    assert_eq!((dump.exit, dump.signal), (Some(0), None), "{scenario}");
    dump
}

/// A dump that was read. The tests are short: what it borrows from stays.
pub struct Read {
    pub file: &'static Minidump<'static, Vec<u8>>,
    pub exception: MinidumpException<'static>,
    pub context: MinidumpContext,
    pub system: MinidumpSystemInfo,
}

impl Dump {
    pub fn read(&self) -> Read {
        let file: &'static _ = Box::leak(Box::new(Minidump::read(self.bytes.clone()).unwrap()));
        let exception: MinidumpException<'_> = file.get_stream().unwrap();
        let system: MinidumpSystemInfo = file.get_stream().unwrap();
        assert_eq!((system.os, system.cpu), (Os::Linux, Cpu::X86_64));
        let misc = file.get_stream::<MinidumpMiscInfo>().ok();
        let context = exception.context(&system, misc.as_ref()).unwrap().into_owned();
        Read { file, exception, context, system }
    }
}

impl Read {
    pub fn sp(&self) -> u64 {
        self.context.get_stack_pointer()
    }

    pub fn ip(&self) -> u64 {
        self.context.get_instruction_pointer()
    }

    pub fn register(&self, pick: impl Fn(&minidump::format::CONTEXT_AMD64) -> u64) -> u64 {
        let MinidumpRawContext::Amd64(raw) = &self.context.raw else { panic!("no x86-64") };
        pick(raw)
    }

    pub fn modules(&self) -> MinidumpModuleList {
        self.file.get_stream().unwrap()
    }

    pub fn threads(&self) -> MinidumpThreadList<'static> {
        self.file.get_stream().unwrap()
    }

    pub fn ranges(&self) -> Vec<(u64, Vec<u8>)> {
        let list: MinidumpMemoryList<'_> = self.file.get_stream().unwrap();
        list.iter().map(|range| (range.base_address, range.bytes.to_vec())).collect()
    }

    /// The bytes of the first thread's stack, which is the crashing one's, and their address.
    pub fn stack(&self) -> (u64, Vec<u8>) {
        let threads = self.threads();
        let thread = &threads.threads[0];
        assert_eq!(thread.raw.thread_id, self.exception.get_crashing_thread_id());
        let start = thread.raw.stack.start_of_memory_range;
        self.ranges().into_iter().find(|(address, _)| *address == start).unwrap()
    }

    pub fn soft_errors(&self) -> Vec<serde_json::Value> {
        serde_json::from_slice(self.file.get_raw_stream(0x4d7a_0004).unwrap()).unwrap()
    }

    pub fn messages(&self) -> Vec<String> {
        self.soft_errors().iter().map(|error| error["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The function of this program that holds `address`.
    pub fn function(&self, address: u64) -> String {
        let modules = self.modules();
        let program: &MinidumpModule = modules.main_module().unwrap();
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let offset = address.checked_sub(program.base_address()).unwrap();
        let symbol = file
            .symbols()
            .find(|symbol| (symbol.address()..symbol.address() + symbol.size()).contains(&offset));
        symbol.unwrap().name().unwrap().to_owned()
    }
}

pub fn holds(bytes: &[u8], mark: u64) -> bool {
    bytes.windows(8).any(|window| window == mark.to_le_bytes())
}
