use crate::dump::{Dump, thread_id};
use crate::own_process;
use crate::traces::{Traces, assert_childless};
use minidump_writer::snapshot::MemoryMode;
use minidump_writer::{DumpOptions, Error, Format, UserStream, dump_self, dump_self_with};
use std::hint::black_box;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// A thread that waits with a pattern of its own on its stack.
pub struct Waiting {
    pub id: u32,
    pub name: &'static str,
    pub address: usize,
    pub pattern: [u64; 8],
    let_go: Sender<()>,
    thread: JoinHandle<()>,
}

impl Waiting {
    pub fn start(name: &'static str, seed: u64) -> Self {
        let pattern: [u64; 8] =
            std::array::from_fn(|index| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + index as u64);
        let (tell, told) = channel();
        let (let_go, go) = channel();
        let thread = thread::Builder::new().name(name.into());
        let thread = thread.spawn(move || wait_with(pattern, &tell, &go)).unwrap();
        let (id, address) = told.recv().unwrap();
        Self { id, name, address, pattern, let_go, thread }
    }

    #[track_caller]
    pub fn assert_dumped(&self, dump: &Dump) {
        assert_eq!(dump.name(self.id), self.name);
        let expected: Vec<u8> = self.pattern.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(dump.stack(self.id, self.address, expected.len()).unwrap(), expected, "{}", self.name);
    }

    pub fn end(self) {
        drop(self.let_go);
        self.thread.join().unwrap();
    }
}

#[inline(never)]
fn wait_with(pattern: [u64; 8], tell: &Sender<(u32, usize)>, go: &Receiver<()>) {
    let kept = black_box(pattern);
    tell.send((thread_id(), (&raw const kept) as usize)).unwrap();
    let _ = go.recv();
    black_box(&kept);
}

/// The return addresses into this function's callers, innermost first, and a dump taken by this function.
#[inline(never)]
fn dump_with_callers() -> (Vec<u64>, Dump) {
    let mut addresses = [std::ptr::null_mut(); 64];
    // SAFETY: room for 64 addresses.
    let count = unsafe { libc::backtrace(addresses.as_mut_ptr(), 64) };
    let dump = Dump::take();
    // The first is in this function, and has moved on meanwhile.
    let callers = addresses[1..usize::try_from(count).unwrap()].iter();
    (callers.map(|address| *address as u64).collect(), dump)
}

#[inline(never)]
fn nested(depth: u32) -> (Vec<u64>, Dump) {
    let result = if depth == 0 { dump_with_callers() } else { nested(depth - 1) };
    black_box(result)
}

#[test]
fn threads_have_their_names_and_stacks_and_the_caller_is_blamed() {
    let waiting = [Waiting::start("first", 1), Waiting::start("second", 2), Waiting::start("third", 3)];
    let caller = thread::Builder::new().name("caller".into()).spawn(|| {
        let kept = black_box([0x1122_3344_5566_7788_u64, thread_id().into()]);
        let dump = Dump::take();
        let bytes = dump.stack(thread_id(), (&raw const kept) as usize, 16).unwrap();
        assert_eq!(bytes[..8], kept[0].to_le_bytes());
        assert_eq!(bytes[8..], kept[1].to_le_bytes());
        (thread_id(), dump)
    });
    let (caller, dump) = caller.unwrap().join().unwrap();
    for thread in waiting {
        thread.assert_dumped(&dump);
        thread.end();
    }
    assert_eq!(dump.name(caller), "caller");
    assert_eq!(dump.threads().threads[0].raw.thread_id, caller, "the blamed thread comes first");
    assert_eq!(dump.report.threads, dump.threads().threads.len());
    assert!(dump.report.stopped > std::time::Duration::ZERO);
    assert!(dump.report.stopped < dump.report.wall);
}

#[test]
fn the_frames_above_the_call_are_on_the_stack_of_the_caller() {
    let (callers, dump) = nested(5);
    let words = dump.stack_words(thread_id());
    // `nested` six times, and this function at least.
    assert!(callers.len() >= 7, "{callers:x?}");
    let mut rest = words.iter();
    for caller in &callers[..7] {
        assert!(
            rest.any(|word| word == caller),
            "{caller:x} of {callers:x?} is not on the stack in its place"
        );
    }
}

#[test]
fn another_thread_is_blamed_when_asked_for() {
    let waiting = Waiting::start("blamed", 4);
    let mut options = DumpOptions::default();
    options.blamed_thread = Some(waiting.id);
    let mut bytes = Vec::new();
    let report = dump_self(&options, &mut bytes).unwrap();
    let dump = Dump::parse(report, bytes);
    assert_eq!(dump.threads().threads[0].raw.thread_id, waiting.id);
    waiting.assert_dumped(&dump);
    waiting.end();
}

#[test]
fn streams_of_the_application_are_in_the_file() {
    let streams = [
        UserStream { stream_type: 0x4d50_0001, bytes: b"one" },
        UserStream { stream_type: 0x4d50_0002, bytes: &[] },
    ];
    let mut bytes = Vec::new();
    let report = dump_self_with(&DumpOptions::default(), &streams, &mut bytes).unwrap();
    let dump = Dump::parse(report, bytes);
    assert_eq!(dump.parsed.get_raw_stream(0x4d50_0001).unwrap(), b"one");
    assert_eq!(dump.parsed.get_raw_stream(0x4d50_0002).unwrap(), b"");
}

#[test]
fn two_streams_of_one_type_are_refused_and_named() {
    let twice = UserStream { stream_type: 0x4d50_0003, bytes: b"" };
    let mut bytes = Vec::new();
    let error = dump_self_with(&DumpOptions::default(), &[twice, twice], &mut bytes).unwrap_err();
    assert!(matches!(&error, Error::LocalDump { reason } if reason.contains("0x4d500003")), "{error}");
    assert!(bytes.is_empty());
}

#[test]
fn memory_that_the_callers_stack_points_to_is_in_an_indirect_dump() {
    let mut options = DumpOptions::default();
    options.memory.mode = MemoryMode::Indirect;
    let kept: Box<[u64; 16]> = Box::new(black_box([0x5eed_0000_1234_5678; 16]));
    let mut bytes = Vec::new();
    let report = dump_self(&options, &mut bytes).unwrap();
    let dump = Dump::parse(report, bytes);
    let memory = dump.memory();
    let address = kept.as_ptr() as u64;
    let block = memory.memory_at_address(address).unwrap();
    assert_eq!(block.get_memory_at_address::<u64>(address), Some(0x5eed_0000_1234_5678));
}

fn assert_all_memory_dumped(options: &DumpOptions) {
    let kept: Vec<u64> = black_box((0..40_000).map(|index| 0x0abc_0000_0000_0000 + index).collect());
    let mut bytes = Vec::new();
    let report = dump_self(options, &mut bytes).unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    let dump = Dump::parse(report, bytes);
    let memory = dump.memory();
    for index in [0, 20_000, 39_999] {
        let address = (&raw const kept[index]) as u64;
        let block = memory.memory_at_address(address).unwrap();
        assert_eq!(block.get_memory_at_address::<u64>(address), Some(kept[index]));
    }
}

#[test]
fn all_memory_is_in_a_full_dump_which_waits_in_a_file_meanwhile() {
    let mut options = DumpOptions::default();
    options.memory.mode = MemoryMode::Full;
    assert_all_memory_dumped(&options);
}

fn all_memory_from_copies() {
    let mut options = DumpOptions::default();
    options.memory.mode = MemoryMode::Full;
    options.copy_on_write = true;
    let before = Traces::now();
    for _ in 0..5 {
        assert_all_memory_dumped(&options);
        assert_childless();
    }
    assert_eq!(Traces::now(), before);
}

#[test]
fn all_memory_can_be_taken_from_a_copy() {
    own_process::run("contents::all_memory_can_be_taken_from_a_copy", all_memory_from_copies);
}

#[test]
fn a_core_file_holds_the_callers_stack() {
    let mut options = DumpOptions::default();
    options.format = Format::ElfCore;
    let kept = black_box([0x00c0_4ef1_1e00_0001_u64, 0x00c0_4ef1_1e00_0002, 0x00c0_4ef1_1e00_0003]);
    let mut bytes = Vec::new();
    let report = dump_self(&options, &mut bytes).unwrap();
    assert_eq!(report.bytes, bytes.len() as u64);
    assert_eq!(bytes[..4], *b"\x7fELF");
    let kept: Vec<u8> = black_box(&kept).iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(bytes.windows(kept.len()).any(|window| window == kept));
}
