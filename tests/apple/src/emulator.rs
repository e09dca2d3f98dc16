//! Threads whose registers and stacks are genuine: unicorn runs them (`programs/emulate.py`).

use crate::Arch;
use crate::image::Image;
use crate::tools::Tools;
use end_to_end::process;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::Command;

const SCRIPT: &str = include_str!("../programs/emulate.py");

/// A thread to run.
#[derive(Debug, Clone)]
pub struct Start {
    /// Where it begins.
    pub entry: u64,
    /// What its function is given.
    pub arguments: Vec<u64>,
    /// Lowest address of its stack; nothing is mapped below.
    pub bottom: u64,
    /// End of its stack.
    pub top: u64,
}

/// Why a thread stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It waits in a system call.
    SystemCall,
    /// Nothing to read there.
    Read(u64),
    /// Nothing to write there.
    Write(u64),
    /// Nothing to execute there.
    Fetch(u64),
}

/// A thread that has stopped.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// Registers by name, as the emulator calls them.
    pub registers: BTreeMap<String, u64>,
    /// Why it stopped.
    pub stop: Stop,
    /// Its whole stack.
    pub stack: Vec<u8>,
    /// Lowest address of the stack.
    pub bottom: u64,
}

/// What became of the process.
#[derive(Debug, Clone)]
pub struct Emulated {
    /// Threads in the order of their starts.
    pub threads: Vec<Stopped>,
    /// Writable segments at the end: address and bytes.
    pub written: Vec<(u64, Vec<u8>)>,
}

/// Runs the threads one after the other in one memory.
#[track_caller]
pub fn run(tools: &Tools, arch: Arch, images: &[Image], starts: &[Start]) -> Emulated {
    let folder = tempfile::tempdir().unwrap();
    let (script, scene) = (folder.path().join("emulate.py"), folder.path().join("scene.json"));
    std::fs::write(&script, SCRIPT).unwrap();
    std::fs::write(&scene, describe(tools, arch, images, starts).to_string()).unwrap();
    let mut command = Command::new(&tools.python);
    command.env("PYTHONPATH", tools.fetched.join("emulator")).args([&script, &scene]);
    let finished = process::run(&mut command).expect_success("the emulator");
    let result: Value = serde_json::from_slice(&finished.stdout).unwrap();
    let threads = result["threads"].as_array().unwrap();
    assert_eq!(threads.len(), starts.len());
    let written = images.iter().flat_map(|image| &image.segments).filter(|segment| segment.is_writable());
    let contents = result["segments"].as_array().unwrap();
    Emulated {
        threads: threads.iter().zip(starts).map(|(thread, start)| stopped(thread, start)).collect(),
        written: written.map(|segment| segment.address).zip(contents.iter().map(bytes)).collect(),
    }
}

fn describe(tools: &Tools, arch: Arch, images: &[Image], starts: &[Start]) -> Value {
    let segments = images.iter().flat_map(|image| image.segments.iter().map(move |segment| (image, segment)));
    let segments = segments.map(|(image, segment)| {
        json!({
            "address": segment.address,
            "size": segment.size,
            "file": image.file,
            "offset": image.offset_in_file + segment.offset,
            "length": segment.length,
            "writable": segment.is_writable(),
        })
    });
    let threads = starts.iter().map(|start| {
        json!({"entry": start.entry, "arguments": start.arguments, "bottom": start.bottom, "top": start.top})
    });
    json!({
        "arch": arch.name(),
        "segments": segments.collect::<Vec<_>>(),
        "pointers": pointers(tools, images),
        "threads": threads.collect::<Vec<_>>(),
    })
}

/// What dyld would write: each import's pointer and the address it gets. The binder itself is never called.
fn pointers(tools: &Tools, images: &[Image]) -> Vec<(u64, u64)> {
    let imports = images.iter().flat_map(|image| image.imports(tools));
    let imports = imports.filter(|(_, name)| name != "dyld_stub_binder");
    let found = imports.map(|(pointer, name)| {
        let target = images.iter().find_map(|image| image.symbols.get(&name));
        (pointer, *target.unwrap_or_else(|| panic!("no image has {name}")))
    });
    found.collect()
}

fn stopped(thread: &Value, start: &Start) -> Stopped {
    let address = thread["address"].as_u64().unwrap();
    let stop = match thread["stop"].as_str().unwrap() {
        "system call" => Stop::SystemCall,
        "read" => Stop::Read(address),
        "write" => Stop::Write(address),
        "fetch" => Stop::Fetch(address),
        other => panic!("the emulator stops for {other}"),
    };
    let used = bytes(&thread["stack"]);
    let mut stack = vec![0; usize::try_from(start.top - start.bottom).unwrap()];
    let unused = stack.len() - used.len();
    stack[unused..].copy_from_slice(&used);
    let registers = thread["registers"].as_object().unwrap();
    Stopped {
        registers: registers.iter().map(|(name, value)| (name.clone(), value.as_u64().unwrap())).collect(),
        stop,
        stack,
        bottom: start.bottom,
    }
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap();
    digits.chunks_exact(2).map(|pair| u8::try_from(nibble(pair[0]) << 4 | nibble(pair[1])).unwrap()).collect()
}
