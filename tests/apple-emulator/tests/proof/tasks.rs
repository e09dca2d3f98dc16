//! The simulated tasks.

use crate::places::library_file;
use apple_emulator::Arch;
use minidump_mach::sim::{SimArch, SimBuilder, SimRegion, SimTask, SimThread, SyntheticImage};
use minidump_snapshot::cpu::{Amd64State, Arm64State};
use minidump_snapshot::{CpuState, FaultState, Protection, SharedCache};

pub const PROGRAM: u64 = 0x1_0000_0000;
const LIBRARY: u64 = 0x1_2000_0000;
const CACHE: u64 = 0x1_8000_0000;
/// VM_MEMORY_MALLOC_SMALL.
const MALLOC_SMALL: u32 = 2;
pub const HEAP: u64 = 0x6_0000_0000;
const STACKS: u64 = 0x1_7000_0000;
const STACK_SIZE: u64 = 0x8_0000;
pub const THREADS: u64 = 4;

pub fn sim_arch(arch: Arch) -> SimArch {
    match arch {
        Arch::Arm64 => SimArch::Arm64,
        Arch::Amd64 => SimArch::Amd64,
    }
}

/// Id of thread `index`.
pub fn id(index: u64) -> u64 {
    0x5_4321 + index * 7
}

fn stack(index: u64) -> u64 {
    STACKS + index * 0x10_0000
}

pub fn cpu(arch: Arch, index: u64) -> CpuState {
    let (pc, sp) = (PROGRAM + 0x2000 + index * 0x40, stack(index) + STACK_SIZE - 0x1000);
    let fp = sp + 0x20;
    match arch {
        Arch::Arm64 => {
            let x = std::array::from_fn(|number| 0xab00 + number as u64 + index);
            let lr = PROGRAM + 0x2010;
            CpuState::Arm64(Box::new(Arm64State { x, fp, lr, sp, pc, cpsr: 0x6000_1000, vector: None }))
        }
        Arch::Amd64 => {
            let state = Amd64State {
                rax: 0xab00 + index,
                rbx: HEAP + 0x100,
                rbp: fp,
                rsp: sp,
                ..Amd64State::default()
            };
            CpuState::Amd64(Box::new(Amd64State { rip: pc, rflags: 0x246, cs: 0x2b, ..state }))
        }
    }
}

/// The code that all threads are in: a system call at the instruction of each.
pub fn code(arch: Arch) -> Vec<u8> {
    match arch {
        Arch::Arm64 => [0xd4_00_10_01_u32, 0xd6_5f_03_c0]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect::<Vec<_>>()
            .repeat(64),
        Arch::Amd64 => [0x0f, 0x05, 0x72, 0x01, 0xc3, 0x90, 0x90, 0x90].repeat(64),
    }
}

/// A program with four threads, a real library, a shared cache, a heap, guard pages and a text for crash reports.
pub fn builder(arch: Arch) -> SimBuilder {
    let program = SyntheticImage::executable("/Applications/App.app/Contents/MacOS/App")
        .uuid([0xaa; 16])
        .code(&code(arch));
    let data = Protection::READ | Protection::WRITE;
    let mut crash_info = vec![0; 0x40];
    for (at, word) in [(0, 5), (8, HEAP + 0x40)] {
        crash_info[at..at + 8].copy_from_slice(&u64::to_le_bytes(word));
    }
    let cached = SyntheticImage::library("/usr/lib/system/libsystem_kernel.dylib")
        .uuid([0xcc; 16])
        .segment("__DATA", 0x10_0000, 0x8000, data, &crash_info)
        .section("__crash_info", 0, 0x40);
    let cache = SharedCache { uuid: [0x5c; 16], base: CACHE, slide: 0x1000_0000 };
    let mut builder = SimTask::builder(sim_arch(arch))
        .image(&program, PROGRAM)
        .module_installed_at(library_file(arch), "/usr/local/lib/libminidump_writer.0.dylib", LIBRARY)
        .shared_cache(cache, 0x4000_0000)
        .image(&cached, CACHE + 0x4_0000)
        .region(HEAP, 0x10_0000, SimRegion::data(MALLOC_SMALL))
        .bytes(HEAP + 0x40, b"assertion failed: this is a test\0")
        .word(HEAP + 0x100, HEAP + 0x8000);
    for index in 0..THREADS {
        let returns = [PROGRAM + 0x2010, PROGRAM + 0x2018, LIBRARY + 0x8000, PROGRAM + 0x2030];
        let mut thread = SimThread::new(id(index))
            .with_cpu(&cpu(arch, index))
            .with_handle(stack(index) + STACK_SIZE - 0x200);
        if index > 0 {
            thread = thread.named(&format!("worker {index}")).on_queue("com.example.queue");
        }
        if index == 2 {
            thread =
                thread.with_fault(FaultState { address: 0x10, syndrome: 0x9200_0006, number: 1, cpu: 0 });
        }
        builder = builder
            .stack(stack(index), STACK_SIZE)
            .frames(stack(index) + STACK_SIZE - 0x1000 + 0x20, 0x80, &returns)
            .word(stack(index) + STACK_SIZE - 0x800, HEAP + 0x2000 + index * 0x400)
            .thread(thread);
    }
    builder
}

pub fn task(arch: Arch) -> SimTask {
    builder(arch).build().unwrap()
}
