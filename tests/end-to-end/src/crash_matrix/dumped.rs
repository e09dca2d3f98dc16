//! What has to be in the dump of a crash.

use super::{Crash, Place, Stack, told_thread};
use crate::contents::DumpedModule;
use crate::target::{number, parked, pattern};
use crate::{Dump, process, programs};
use minidump::format::CONTEXT_AMD64;
use minidump::{MinidumpException, MinidumpMiscInfo, MinidumpRawContext, MinidumpSystemInfo};
use serde_json::Value;
use std::process::Command;

const PAGE: u64 = 4096;
/// How many pages above the stack pointer the stack begins at the most.
const NEAR: u64 = 16;

/// The exception stream.
struct Exception {
    code: u32,
    address: u64,
    tid: u32,
    context: CONTEXT_AMD64,
}

/// Fails unless `dump` tells of `row` what it has to. Returns the index of the line of `told` facts that is
/// about this dump.
#[track_caller]
pub fn check(row: &Crash, dump: &Dump, told: &[Value]) -> usize {
    let exception = exception(dump);
    assert_eq!(exception.code, row.signal.unsigned_abs(), "the exception's code is the signal");
    let index = told.iter().position(|facts| row.ids_are_foreign || told_thread(facts) == exception.tid);
    let index = index.unwrap_or_else(|| {
        let announced: Vec<u32> = told.iter().map(told_thread).collect();
        panic!("the dump blames thread {}, but {announced:?} crashed", exception.tid)
    });
    let facts = &told[index];
    if !row.ids_are_foreign {
        assert_eq!(process_id(dump), number(facts, "pid"), "the dump is of the process that crashed");
    }
    check_place(row.place, &exception, facts);
    let context = dump.context(exception.tid).expect("the thread that crashed has registers");
    assert_eq!((context.rip, context.rsp), (exception.context.rip, exception.context.rsp), "both contexts");
    check_stack(row.stack, dump, &context, facts);
    check_frames(row, dump, exception.tid);
    if facts["threads"].as_array().is_some_and(|threads| !threads.is_empty()) {
        dump.assert_parked(&parked(facts));
    }
    index
}

#[track_caller]
fn exception(dump: &Dump) -> Exception {
    let parsed = dump.parse();
    let stream: MinidumpException = parsed.get_stream().expect("there is an exception");
    let system: MinidumpSystemInfo = parsed.get_stream().expect("there is system information");
    let misc = parsed.get_stream::<MinidumpMiscInfo>().ok();
    let context = stream.context(&system, misc.as_ref()).expect("the exception has registers");
    let MinidumpRawContext::Amd64(context) = context.into_owned().raw else {
        panic!("the exception's context is of another architecture");
    };
    let record = &stream.raw.exception_record;
    let (code, address) = (record.exception_code, record.exception_address);
    Exception { code, address, tid: stream.thread_id, context }
}

#[track_caller]
fn process_id(dump: &Dump) -> u64 {
    let parsed = dump.parse();
    let misc: MinidumpMiscInfo = parsed.get_stream().expect("there is miscellaneous information");
    misc.raw.process_id().copied().expect("there is a process id").into()
}

#[track_caller]
fn check_place(place: Place, exception: &Exception, facts: &Value) {
    let expected = match place {
        Place::Instruction => Some(exception.context.rip),
        Place::AsTold => facts["address"].as_u64(),
    };
    if let Some(expected) = expected {
        assert_eq!(exception.address, expected, "the exception's address");
    }
}

#[track_caller]
fn check_stack(stack: Stack, dump: &Dump, context: &CONTEXT_AMD64, facts: &Value) {
    let pointer = context.rsp;
    match stack {
        Stack::Sound => assert!(dump.memory(pointer, 16).is_some(), "no memory at RSP {pointer:#x}"),
        Stack::Lost => assert_eq!(dump.memory(pointer, 1), None, "there is nothing at RSP {pointer:#x}"),
        Stack::Overflowed => check_overflow(dump, pointer, facts),
    }
}

/// The head: return addresses into the crasher in the lowest words of the stack that there are. The tail: the bytes
/// that the program told of.
#[track_caller]
fn check_overflow(dump: &Dump, pointer: u64, facts: &Value) {
    let pages = (0..NEAR).map(|index| pointer - pointer % PAGE + index * PAGE);
    let lowest = std::iter::once(pointer).chain(pages).find(|start| dump.memory(*start, 8192).is_some());
    let lowest = lowest.unwrap_or_else(|| panic!("no stack near RSP {pointer:#x}"));
    let head = dump.memory(lowest, 8192).unwrap();
    let modules = dump.modules();
    let returns = head.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
    let returns = returns.filter(|word| modules.first().is_some_and(|program| contains(program, *word)));
    assert!(returns.count() >= 2, "the head of the stack has frames of the recursion");
    if facts["tail"].is_object() {
        let (address, bytes) = pattern(&facts["tail"]);
        assert_eq!(dump.memory(address, bytes.len()), Some(bytes), "the tail of the stack at {address:#x}");
    }
}

fn contains(module: &DumpedModule, address: u64) -> bool {
    (module.base..module.base + module.size).contains(&address)
}

/// The thread that crashed unwinds into the function that crashed, in our own reader.
#[track_caller]
fn check_frames(row: &Crash, dump: &Dump, tid: u32) {
    let shown = process::run(Command::new(programs::dumper()).arg("show").arg("--json").arg(&dump.path));
    let shown: Value = serde_json::from_slice(&shown.expect_success("show").stdout).unwrap();
    assert_eq!(shown["crash"]["crashed"], true, "{}", shown["crash"]);
    assert_eq!(shown["crash"]["thread"], tid);
    let threads = shown["threads"].as_array().unwrap();
    let thread = threads.iter().find(|thread| thread["id"] == tid).expect("show lists the thread");
    assert_eq!(thread["blamed"], true);
    let functions: Vec<&str> =
        thread["frames"].as_array().unwrap().iter().filter_map(|frame| frame["function"].as_str()).collect();
    let names = functions.iter().map(|function| bare_name(function));
    let hits = names.filter(|name| *name == row.function).count();
    assert!(hits > 0, "{} is none of {functions:?}; {}", row.function, thread["note"]);
}

/// A function's name without path and parameters.
fn bare_name(function: &str) -> &str {
    let path = function.split('(').next().unwrap_or_default();
    path.rsplit("::").next().unwrap_or_default()
}
