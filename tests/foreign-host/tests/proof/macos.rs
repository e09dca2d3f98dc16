//! Dumps of macOS: minidumps and Mach-O cores of simulated tasks, for both processors.

use crate::compare::{converted, shown};
use minidump_formats::macho_core::{self, MachoCoreOptions};
use minidump_formats::minidump::{self, LayoutOptions};
use minidump_mach::sim::{SimArch, SimTask, SimThread, SyntheticImage};
use minidump_mach::{CaptureOptions, CrashedThread, MachCrash, MachException, PlanKind, capture};
use minidump_snapshot::cpu::{Amd64State, Arm64State};
use minidump_snapshot::{CpuState, FaultState, Protection};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const PROGRAM: u64 = 0x1_0000_0000;
const LIBRARY: u64 = 0x1_2000_0000;
const STACKS: u64 = 0x1_7000_0000;
const STACK: u64 = 0x8000;
const FIRST_ID: u64 = 0x5_4321;
const THREADS: u64 = 3;
/// `EXC_BAD_ACCESS` and `KERN_INVALID_ADDRESS`.
const BAD_ACCESS: u32 = 1;
const INVALID_ADDRESS: u64 = 1;
/// Where the crash was.
const FAULT: u64 = 0x1230;

fn cpu(arch: SimArch, index: u64) -> CpuState {
    let (pc, sp) = (PROGRAM + 0x2000 + index * 0x40, STACKS + index * 0x10_0000 + STACK - 0x1000);
    let fp = sp + 0x20;
    match arch {
        SimArch::Arm64 | SimArch::Arm64e => {
            let x = std::array::from_fn(|number| 0xab00 + number as u64 + index);
            CpuState::Arm64(Box::new(Arm64State {
                x,
                fp,
                lr: PROGRAM + 0x2010,
                sp,
                pc,
                cpsr: 0x6000_1000,
                vector: None,
            }))
        }
        SimArch::Amd64 => {
            let state = Amd64State {
                rax: 0xab00 + index,
                rbp: fp,
                rsp: sp,
                rip: pc,
                rflags: 0x246,
                cs: 0x2b,
                ..Amd64State::default()
            };
            CpuState::Amd64(Box::new(state))
        }
    }
}

/// A program with a library and three threads, each with frames of both.
fn task(arch: SimArch) -> SimTask {
    let program = SyntheticImage::executable("/Applications/App.app/Contents/MacOS/App").uuid([0xaa; 16]);
    let data = Protection::READ | Protection::WRITE;
    let library = SyntheticImage::library("/usr/local/lib/libone.dylib")
        .uuid([0xcc; 16])
        .version(0x0102_0300)
        .segment("__DATA", 0x10_0000, 0x4000, data, b"data");
    let mut builder = SimTask::builder(arch).image(&program, PROGRAM).image(&library, LIBRARY);
    for index in 0..THREADS {
        let returns = [PROGRAM + 0x2010, LIBRARY + 0x2000, PROGRAM + 0x2030];
        let bottom = STACKS + index * 0x10_0000;
        let fault = FaultState { address: FAULT, syndrome: 0x9200_0046, number: 1, cpu: 0 };
        let thread = SimThread::new(FIRST_ID + index).with_cpu(&cpu(arch, index)).with_fault(fault);
        let thread = if index > 0 { thread.named(&format!("worker {index}")) } else { thread };
        builder = builder
            .stack(bottom, STACK)
            .frames(bottom + STACK - 0x1000 + 0x20, 0x80, &returns)
            .thread(thread);
    }
    builder.build().unwrap()
}

/// Writes a dump of the task, whose second thread crashed.
fn write(task: &SimTask, plan: PlanKind, to: &Path) {
    let exception = MachException { kind: BAD_ACCESS, codes: [INVALID_ADDRESS, FAULT] };
    let crash =
        MachCrash { thread: CrashedThread::Id(FIRST_ID + 1), exception: Some(exception), states: Vec::new() };
    let options = CaptureOptions { plan, ..CaptureOptions::default() };
    let captured = capture(task, &options, Some(&crash)).unwrap();
    let mut bytes = Vec::new();
    let (snapshot, planned) = (&captured.snapshot, &captured.plan);
    if plan == PlanKind::Core {
        let laid_out = macho_core::layout(snapshot, planned, &MachoCoreOptions::default()).unwrap();
        laid_out.write(&captured.memory, &mut bytes).unwrap();
    } else {
        let laid_out = minidump::layout(snapshot, planned, &LayoutOptions::default()).unwrap();
        laid_out.write(&captured.memory, &mut bytes).unwrap();
    }
    fs::write(to, bytes).unwrap();
}

/// Dumps of the task are the same there; those converted, too.
#[track_caller]
fn assert_same(arch: SimArch) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    write(&task(arch), PlanKind::Core, &folder.join("core"));
    write(&task(arch), PlanKind::Minidump, &folder.join("crash.dmp"));
    for (name, format, into) in [("core", "minidump", "made.dmp"), ("crash.dmp", "macho-core", "made.core")] {
        let found = shown(folder, name);
        assert_eq!(found["threads"].as_array().unwrap().len() as u64, THREADS);
        assert_eq!(found["crash"]["address"], "0x1230", "{found}");
        assert_eq!(found["threads"][0]["id"], FIRST_ID + 1);
        let frames = found["threads"][0]["frames"].as_array().unwrap();
        assert!(frames.iter().any(|frame| frame["module"] == "libone.dylib"), "{frames:?}");
        converted(folder, name, format, into);
    }
    assert_eq!(shown(folder, "made.dmp")["crash"]["address"], "0x1230");
}

#[test]
fn dumps_of_programs_for_arm64_are_the_same_there() {
    assert_same(SimArch::Arm64);
}

#[test]
fn dumps_of_programs_for_x86_64_are_the_same_there() {
    assert_same(SimArch::Amd64);
}
