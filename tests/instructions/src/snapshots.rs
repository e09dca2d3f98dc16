//! A captured process of many threads, with the plan of its memory.

use crate::libraries::Libraries;
use crate::maps_text;
use minidump_snapshot::cpu::Amd64State;
use minidump_snapshot::{
    Cpu, CpuState, MemoryPlan, MemoryPolicy, Module, ModuleId, OperatingSystem, Process, Protection, Region,
    RegionKind, Snapshot, System, Thread, XsaveComponent,
};

const STACKS: u64 = 0x7000_0000_0000;
const STACK_STEP: u64 = 0x10_0000;
const MODULES: u64 = 0x7f00_0000_0000;
const MODULE_STEP: u64 = 0x10_0000;

/// A snapshot and its plan.
#[derive(Debug)]
pub struct Captured {
    /// The process.
    pub snapshot: Snapshot,
    /// The memory.
    pub plan: MemoryPlan,
}

impl Captured {
    /// A process of so many threads, regions (one of them a stack for each thread) and modules.
    pub fn new(threads: usize, regions: usize, modules: usize) -> Result<Self, std::fmt::Error> {
        let process = Process { pid: 4711, ..Process::default() };
        let mut snapshot = Snapshot::new(process, system());
        snapshot.threads = (0..threads).zip(0..).map(|(_, index)| thread(index)).collect();
        snapshot.modules = (0..modules).zip(0..).map(|(_, index)| module(index)).collect();
        let stacks = (0..threads)
            .zip(0..)
            .map(|(_, index)| region(STACKS + index * STACK_STEP, 0x4_0000, RegionKind::Anonymous, ""));
        let rest = (threads..regions).zip(0..).map(|(_, index)| {
            let path = format!("/usr/lib/x86_64-linux-gnu/libsomething{}.so.1", index / 8);
            region(MODULES + index * 0x2_0000, 0x1000, RegionKind::File, &path)
        });
        snapshot.regions = stacks.chain(rest).collect();
        snapshot.linux = Some(minidump_snapshot::LinuxFacts {
            maps: Some(maps_text::mixed(regions)?),
            auxv: Some(Libraries::new(1)?.auxv),
            ..minidump_snapshot::LinuxFacts::default()
        });
        let plan = MemoryPlan::new(&snapshot, &MemoryPolicy::default(), &mut Vec::new());
        Ok(Self { snapshot, plan })
    }
}

fn system() -> System {
    System {
        os: OperatingSystem::Linux,
        version: (6, 1, 0),
        description: "Linux 6.1.0 #1 SMP x86_64".to_owned(),
        cpu: Cpu::Amd64 {
            vendor: *b"GenuineIntel",
            version_information: 0x5_0657,
            feature_information: 0xbfeb_fbff,
            extended_features: 0,
            xsave: vec![XsaveComponent { index: 2, offset: 576, size: 256 }],
        },
        cpu_count: 16,
        cpu_max_mhz: Some(3000),
        page_size: 4096,
        build: "instructions".to_owned(),
    }
}

fn thread(index: u64) -> Thread {
    let id = u32::try_from(index).unwrap_or_default() + 4711;
    let rsp = STACKS + index * STACK_STEP + 0x3_e000;
    let mut xsave = vec![0x11; 832];
    if let Some(bitmap) = xsave.get_mut(512..520) {
        bitmap.copy_from_slice(&7u64.to_le_bytes());
    }
    let state = Amd64State { rsp, rip: MODULES + 0x800, xsave, ..Amd64State::default() };
    let name = Some(format!("worker-{index}").into_bytes());
    Thread {
        name,
        cpu: Some(CpuState::Amd64(Box::new(state))),
        thread_pointer: Some(rsp + 0x1f00),
        ..Thread::new(id)
    }
}

fn module(index: u64) -> Module {
    let mut id = index.to_le_bytes().repeat(3);
    id.truncate(20);
    Module {
        base: MODULES + index * MODULE_STEP,
        size: 0x8_0000,
        path: format!("/usr/lib/x86_64-linux-gnu/libsomething{index}.so.1").into_bytes(),
        soname: Some(format!("libsomething{index}.so.1")),
        version: None,
        id: Some(ModuleId::BuildId(id)),
        is_main: index == 0,
        deleted: false,
    }
}

fn region(start: u64, size: u64, kind: RegionKind, name: &str) -> Region {
    Region {
        start,
        end: start + size,
        protection: Protection::READ | Protection::WRITE,
        shared: false,
        kind,
        dont_dump: false,
        offset: 0,
        name: name.as_bytes().to_vec(),
    }
}
