//! Has the two programs make a report, and reads it.

use minidump::{
    Minidump, MinidumpException, MinidumpLinuxMaps, MinidumpMemoryList, MinidumpMiscInfo, MinidumpModuleList,
    MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList,
};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

/// The dump of a crash, and what the crashed program said about it.
pub struct Report {
    /// The file.
    pub bytes: Vec<u8>,
    /// The contents that minidumper was given besides.
    pub copy: Vec<u8>,
    /// The crashed process.
    pub pid: u32,
    /// The crashed thread.
    pub tid: u32,
    dump: Minidump<'static, Vec<u8>>,
}

/// Ends a server that no client has ended.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Guard, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minidumper-drop-in"));
    let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
    (Guard(child), line.trim_end().to_owned())
}

/// Crashes, and expects the process to end of `signal`, or without one to exit with success.
pub fn crash(kind: &str, place: &str, signal: Option<i32>) -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("socket");
    let file = directory.path().join("crash.dmp");
    let [socket, path] = [&socket, &file].map(|path| path.to_str().expect("UTF-8"));
    let (mut server, line) = start(&["serve", socket, path]);
    assert_eq!(line, "listening");
    let (mut client, tid) = start(&["crash", socket, &server.0.id().to_string(), kind, place]);
    let status = client.0.wait().expect("it is our child");
    assert_eq!(status.signal(), signal, "{status}");
    assert!(signal.is_some() || status.success(), "{status}");
    let status = server.0.wait().expect("it is our child");
    assert!(status.success(), "{status}");

    let bytes = std::fs::read(&file).expect("there is a dump");
    let copy = std::fs::read(file.with_extension("copy")).expect("there is a copy");
    let dump = Minidump::read(bytes.clone()).expect("it is a minidump");
    Report { bytes, copy, pid: client.0.id(), tid: tid.parse().expect("a thread id"), dump }
}

impl Report {
    /// Ids of the threads, in the order of the file.
    pub fn threads(&self) -> Vec<u32> {
        let threads: MinidumpThreadList = self.dump.get_stream().expect("threads");
        threads.threads.iter().map(|thread| thread.raw.thread_id).collect()
    }

    pub fn exception(&self) -> MinidumpException<'_> {
        self.dump.get_stream().expect("an exception")
    }

    pub fn modules(&self) -> MinidumpModuleList {
        self.dump.get_stream().expect("modules")
    }

    fn system(&self) -> MinidumpSystemInfo {
        self.dump.get_stream().expect("the system")
    }

    /// Instruction, stack and frame pointer of the exception.
    pub fn registers(&self) -> [u64; 3] {
        let misc: Option<MinidumpMiscInfo> = self.dump.get_stream().ok();
        let exception = self.exception();
        let context = exception.context(&self.system(), misc.as_ref()).expect("registers");
        pointers(&context.raw)
    }

    /// The same of the first thread.
    pub fn first_thread_registers(&self) -> [u64; 3] {
        let misc: Option<MinidumpMiscInfo> = self.dump.get_stream().ok();
        let threads: MinidumpThreadList = self.dump.get_stream().expect("threads");
        let context = threads.threads[0].context(&self.system(), misc.as_ref()).expect("registers");
        pointers(&context.raw)
    }

    /// `size` bytes of the target's memory, if the dump has them all.
    pub fn memory_at(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        let memory: MinidumpMemoryList = self.dump.get_stream().expect("memory");
        let block = memory.memory_at_address(address)?;
        let start = usize::try_from(address - block.base_address).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        block.bytes.get(start..end).map(<[u8]>::to_vec)
    }

    /// The line of the memory map that has `address`.
    pub fn region_at(&self, address: u64) -> Option<String> {
        let maps: MinidumpLinuxMaps = self.dump.get_stream().expect("a memory map");
        let map = maps.memory_info_at_address(address)?;
        Some(format!("{:?}", map.map))
    }
}

fn pointers(context: &MinidumpRawContext) -> [u64; 3] {
    match context {
        MinidumpRawContext::Amd64(raw) => [raw.rip, raw.rsp, raw.rbp],
        other => panic!("not of x86-64: {other:?}"),
    }
}
