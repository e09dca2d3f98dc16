//! Snapshots built in code become dumps, are converted, and are read back.

mod hostile;
mod round_trip;

use super::testing::empty_snapshot;
use super::{ConvertError, Input, convert};
use crate::snapshot::cpu::Amd64State;
use crate::snapshot::{
    BufferSource, CpuState, Exception, LinuxFacts, MemoryPlan, Module, ModuleId, PlannedRange, Purpose,
    Snapshot, SoftError, Stage, Thread, ThreadStack, ThreadTimes,
};
use crate::{DumpOptions, DumpReport, Format};
use minidump_formats::elf_core::{self, CoreOptions};
use minidump_formats::minidump::{self, LayoutOptions};

const PID: u32 = 100;
const CRASHED: u32 = 102;
/// Where the stack of thread 100 + n begins: 0x1000 bytes of it are mapped and kept.
const fn stack_of(index: u64) -> u64 {
    0x7000_0000 + index * 0x10_0000
}

fn registers(seed: u64) -> Amd64State {
    let mut xsave: Vec<u8> = (0..832_u32).map(|index| (index.wrapping_mul(7) % 251) as u8).collect();
    xsave[464..472].copy_from_slice(&7_u64.to_le_bytes());
    xsave[512..576].fill(0);
    xsave[512] = 7;
    let value = |index: u64| seed << 32 | 0x1111_0000 | index;
    Amd64State {
        rax: value(1),
        rbx: value(2),
        rcx: value(3),
        rdx: value(4),
        rsi: value(5),
        rdi: value(6),
        rbp: value(7),
        rsp: stack_of(seed) + 0x100,
        r8: value(9),
        r9: value(10),
        r10: value(11),
        r11: value(12),
        r12: value(13),
        r13: value(14),
        r14: value(15),
        r15: value(16),
        rip: value(17),
        rflags: 0x246,
        cs: 0x33,
        ss: 0x2b,
        ds: 1,
        es: 2,
        fs: 3,
        gs: 4,
        fs_base: value(18),
        gs_base: value(19),
        orig_rax: value(20),
        xsave,
        debug: None,
    }
}

fn thread(index: u64) -> Thread {
    let mut thread = Thread::new(PID + u32::try_from(index).unwrap());
    let state = registers(index);
    thread.thread_pointer = Some(state.fs_base);
    thread.cpu = Some(CpuState::Amd64(Box::new(state)));
    thread.name = Some(format!("worker-{index}").into_bytes());
    thread.state = Some('S');
    thread.priority = Some(20);
    thread.affinity = Some(3);
    thread.times = Some(ThreadTimes { start_us: 1_700_000_000_000_000, user_us: 250, kernel_us: 90 });
    thread
}

/// A process of three threads, of which the last one crashed.
fn crashed() -> Snapshot {
    let mut snapshot = empty_snapshot();
    snapshot.captured_at_us = 1_700_000_100_000_000;
    snapshot.threads = vec![thread(2), thread(0), thread(1)];
    snapshot.blamed_thread = Some(CRASHED);
    snapshot.exception = Some(Exception {
        thread: CRASHED,
        code: 11,
        flags: 1,
        address: 0xdead_0000,
        parameters: vec![1, 0xdead_0000, 14, 6, 0xdead_0000],
    });
    snapshot.process.parent_pid = Some(1);
    snapshot.process.uid = Some(1000);
    snapshot.annotations = vec![("version".into(), "1.2".into())];
    snapshot.soft_errors = vec![SoftError::new(Stage::Handles, "no handles")];
    snapshot.modules = vec![Module {
        base: 0x40_0000,
        size: 0x2000,
        path: b"/opt/program".to_vec(),
        soname: None,
        version: None,
        id: Some(ModuleId::BuildId(vec![0xab; 20])),
        is_main: true,
        deleted: false,
    }];
    let stack = |index: u64| {
        let start = stack_of(index);
        format!("{start:x}-{:x} rw-p 00000000 00:00 0 \n", start + 0x1000)
    };
    let maps = [
        "00400000-00401000 r--p 00000000 fe:00 77 /opt/program\n".to_owned(),
        "00401000-00402000 r-xp 00001000 fe:00 77 /opt/program\n".to_owned(),
    ];
    let maps = maps.into_iter().chain((0..3).map(stack)).collect::<String>();
    let auxv = [(3_u64, 0x40_0040_u64), (6, 4096), (9, 0x40_1000), (0, 0)];
    let auxv = auxv.iter().flat_map(|(kind, value)| [kind.to_le_bytes(), value.to_le_bytes()]).flatten();
    snapshot.linux = Some(LinuxFacts {
        maps: Some(maps.clone().into_bytes()),
        auxv: Some(auxv.collect()),
        cmdline: Some(b"/opt/program\0--serve\0".to_vec()),
        ..LinuxFacts::default()
    });
    let nothing = BufferSource::new();
    snapshot.regions =
        crate::linux_process::offline::read(maps.as_bytes(), &[], &nothing, &mut Vec::new()).regions;
    snapshot
}

fn bytes_at(address: u64, size: u64) -> Vec<u8> {
    (address..address + size).map(|address| (address ^ address >> 8).to_le_bytes()[0] | 1).collect()
}

/// The plan that holds the upper part of each stack, and its memory.
fn stacks(snapshot: &Snapshot) -> (MemoryPlan, BufferSource) {
    let mut source = BufferSource::new();
    let (mut ranges, mut stacks) = (Vec::new(), Vec::new());
    for thread in &snapshot.threads {
        let (start, size) = (stack_of(u64::from(thread.id - PID)) + 0x80, 0xf80);
        assert!(source.insert(start, bytes_at(start, size)));
        let purpose = if thread.id == CRASHED { Purpose::BlamedStack } else { Purpose::Stack };
        ranges.push(PlannedRange { start, size, purpose });
        stacks.push(ThreadStack { thread: thread.id, start, size });
    }
    (MemoryPlan::from_ranges(ranges, stacks), source)
}

fn core_of(snapshot: &Snapshot) -> Vec<u8> {
    let (plan, source) = stacks(snapshot);
    let mut bytes = Vec::new();
    elf_core::layout(snapshot, &plan, &CoreOptions::default()).unwrap().write(&source, &mut bytes).unwrap();
    bytes
}

fn minidump_of(snapshot: &Snapshot) -> Vec<u8> {
    let (plan, source) = stacks(snapshot);
    let mut bytes = Vec::new();
    minidump::layout(snapshot, &plan, &LayoutOptions::default()).unwrap().write(&source, &mut bytes).unwrap();
    bytes
}

fn converted(bytes: &[u8], format: Option<Format>) -> Result<(Vec<u8>, DumpReport), ConvertError> {
    let mut output = Vec::new();
    let report = convert(Input::Stream(&mut &*bytes), format, &DumpOptions::default(), &mut output)?;
    assert_eq!(report.bytes, output.len() as u64);
    Ok((output, report))
}
