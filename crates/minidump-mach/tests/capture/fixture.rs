//! A process as they are: a program, a library, a bundle, the shared cache, a thread at work and one that waits.

use minidump_mach::sim::{SimArch, SimBuilder, SimTask, SimThread, SyntheticImage};
use minidump_mach::{CaptureOptions, Captured, MachCrash, capture};
use minidump_snapshot::cpu::{Amd64State, Arm64State};
use minidump_snapshot::{
    CpuState, FaultState, MemorySource, Module, Protection, SharedCache, SoftError, Stage, Thread,
};

pub const EXE: u64 = 0x1_0000_0000;
pub const EXE_PATH: &str = "/Applications/App.app/Contents/MacOS/App";
pub const LIB: u64 = 0x1_0400_0000;
pub const LIB_PATH: &str = "/Applications/App.app/Contents/Frameworks/libone.dylib";
pub const BUNDLE: u64 = 0x1_0500_0000;
pub const BUNDLE_PATH: &str = "/Applications/App.app/Contents/PlugIns/two.node";
pub const DYLD: u64 = 0x2_0000_0000;

pub const CACHE: SharedCache = SharedCache { uuid: [0xca; 16], base: 0x1_8000_0000, slide: 0x8000 };
pub const CACHE_SIZE: u64 = 0x1000_0000;
pub const KERNEL_LIB: u64 = 0x1_8000_4000;
pub const KERNEL_PATH: &str = "/usr/lib/system/libsystem_kernel.dylib";
pub const C_LIB: u64 = 0x1_8001_0000;
pub const C_PATH: &str = "/usr/lib/system/libsystem_c.dylib";
pub const C_DATA: u64 = 0x1_8800_0000;

/// Stacks, lowest address and size.
pub const MAIN_STACK: (u64, u64) = (0x1_6f00_0000, 0x8_0000);
pub const IDLE_STACK: (u64, u64) = (0x1_7000_0000, 0x8_0000);

pub const MAIN_ID: u64 = 0x1_0000_1001;
pub const IDLE_ID: u64 = 0x1_0000_1002;

/// Behind the system call of a thread that waits.
pub const IDLE_PC: u64 = KERNEL_LIB + 0x2004;
pub const MAIN_PC: u64 = LIB + 0x2010;

/// Return addresses of the working and of the waiting thread, the innermost first.
pub const MAIN_CALLERS: [u64; 3] = [LIB + 0x2050, EXE + 0x2040, EXE + 0x2080];
pub const IDLE_CALLERS: [u64; 2] = [C_LIB + 0x2100, EXE + 0x2200];
pub const IDLE_LR: u64 = C_LIB + 0x2030;

pub fn exe() -> SyntheticImage {
    let data = Protection::READ | Protection::WRITE;
    SyntheticImage::executable(EXE_PATH).uuid([0xe0; 16]).code(&[0xe1; 0x400]).segment(
        "__DATA",
        EXE + 0x4000,
        0x4000,
        data,
        &[0xdd; 64],
    )
}

pub fn lib() -> SyntheticImage {
    SyntheticImage::library(LIB_PATH).uuid([0x11; 16]).version(0x0102_0304).code(&[0x12; 0x400])
}

pub fn kernel_lib() -> SyntheticImage {
    // A stub of a system call: `svc #0x80` and `ret`.
    let stub = [0xd400_1001_u32.to_le_bytes(), 0xd65f_03c0_u32.to_le_bytes()].concat();
    let text = KERNEL_LIB - CACHE.slide;
    SyntheticImage::library(KERNEL_PATH).uuid([0x4e; 16]).text(text, 0x4000).code(&stub)
}

/// The C library, whose data lie far from its code and hold what it left for crash reports.
pub fn c_lib(crash_info: &[u8]) -> SyntheticImage {
    let unslid = |address: u64| address - CACHE.slide;
    SyntheticImage::library(C_PATH)
        .uuid([0xcc; 16])
        .text(unslid(C_LIB), 0x4000)
        .code(&[0xc1; 0x400])
        .segment("__DATA_DIRTY", unslid(C_DATA), 0x4000, Protection::READ | Protection::WRITE, crash_info)
        .section("__crash_info", 0, 64)
}

/// `crashreporter_annotations_t` of `version` at `C_DATA`, with texts behind it.
pub fn crash_info(version: u64, message: &str, message2: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (first, second) = (C_DATA + 0x100, C_DATA + 0x100 + message.len() as u64 + 1);
    let second = if message2.is_empty() { 0 } else { second };
    for value in [version, first, 0, 0, second, 7, 8, 9] {
        bytes.extend(u64::to_le_bytes(value));
    }
    bytes.resize(0x100, 0);
    bytes.extend(message.bytes().chain([0]));
    bytes.extend(message2.bytes().chain([0]));
    bytes
}

pub fn main_cpu() -> Arm64State {
    let mut x = [0; 29];
    x.iter_mut().zip(0x100..).for_each(|(register, value)| *register = value);
    let fp = MAIN_STACK.0 + MAIN_STACK.1 - 0x200;
    Arm64State { x, fp, lr: LIB + 0x2014, sp: fp - 0x100, pc: MAIN_PC, cpsr: 0x6000_0000, vector: None }
}

pub fn idle_cpu() -> Arm64State {
    let fp = IDLE_STACK.0 + IDLE_STACK.1 - 0x400;
    Arm64State { fp, lr: IDLE_LR, sp: fp - 0x20, pc: IDLE_PC, ..Arm64State::default() }
}

pub fn arm(state: Arm64State) -> CpuState {
    CpuState::Arm64(Box::new(state))
}

pub fn amd(state: Amd64State) -> CpuState {
    CpuState::Amd64(Box::new(state))
}

/// All but the threads.
pub fn without_threads() -> SimBuilder {
    let bundle = SyntheticImage::bundle(BUNDLE_PATH).uuid([0xb0; 16]);
    SimTask::builder(SimArch::Arm64)
        .shared_cache(CACHE, CACHE_SIZE)
        // In the order of systems since macOS 14: the executable last.
        .image(&bundle, BUNDLE)
        .image(&lib(), LIB)
        .image(&kernel_lib(), KERNEL_LIB)
        .image(&c_lib(&crash_info(5, "abort() called", "")), C_LIB)
        .image(&exe(), EXE)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .stack(IDLE_STACK.0, IDLE_STACK.1)
        .frames(main_cpu().fp, 0x40, &MAIN_CALLERS)
        .frames(idle_cpu().fp, 0x80, &IDLE_CALLERS)
}

pub fn main_thread() -> SimThread {
    let fault = FaultState { address: 0x10, syndrome: 0x9200_0006, number: 0, cpu: 0 };
    SimThread::new(MAIN_ID)
        .named("main")
        .with_times(5_000_000, 2_000_000)
        .with_cpu(&arm(main_cpu()))
        .with_fault(fault)
}

pub fn idle_thread() -> SimThread {
    SimThread::new(IDLE_ID)
        .named("com.app.worker")
        .with_cpu(&arm(idle_cpu()))
        .with_handle(IDLE_STACK.0 + IDLE_STACK.1 - 0xe0)
        .on_queue("com.apple.root.default-qos")
}

pub fn builder() -> SimBuilder {
    without_threads().thread(main_thread()).thread(idle_thread())
}

pub fn task() -> SimTask {
    builder().build().unwrap()
}

/// Captures with default options, and checks that the task was let go.
pub fn captured(task: &SimTask) -> Captured<'_> {
    captured_with(task, &CaptureOptions::default(), None)
}

pub fn captured_with<'a>(
    task: &'a SimTask,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
) -> Captured<'a> {
    let before = task.suspend_count();
    let captured = capture(task, options, crash).unwrap();
    assert_eq!(task.suspend_count(), before, "the task goes on as before");
    assert!(task.suspensions() > 0, "it stood still meanwhile");
    check(&captured);
    captured
}

/// What holds of every snapshot.
pub fn check(captured: &Captured<'_>) {
    let snapshot = &captured.snapshot;
    assert!(snapshot.regions.windows(2).all(|pair| pair[0].end <= pair[1].start), "regions are sorted");
    assert!(snapshot.regions.iter().all(|region| region.start < region.end));
    let ends = |module: &Module| module.base.checked_add(module.size).unwrap();
    assert!(snapshot.modules.windows(2).all(|pair| ends(&pair[0]) <= pair[1].base), "modules are sorted");
    let facts = snapshot.apple.as_ref().unwrap();
    let bases: Vec<u64> = facts.images.iter().map(|image| image.base).collect();
    assert_eq!(bases, snapshot.modules.iter().map(|module| module.base).collect::<Vec<_>>());
    assert_eq!(snapshot.blamed_thread, snapshot.threads.first().map(|thread| thread.id));
    let mut ids: Vec<u32> = snapshot.threads.iter().map(|thread| thread.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), snapshot.threads.len(), "ids are unique");
    assert!(snapshot.modules.iter().filter(|module| module.is_main).count() <= 1);
    let mut ranges: Vec<(u64, u64)> =
        captured.plan.ranges().iter().map(|range| (range.start, range.end())).collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "ranges do not overlap");
}

/// The only soft error.
pub fn only_error<'a>(captured: &'a Captured<'_>) -> &'a SoftError {
    let errors = &captured.snapshot.soft_errors;
    assert_eq!(errors.len(), 1, "{errors:#?}");
    &errors[0]
}

/// Asserts that a soft error of `stage` says `words`.
pub fn assert_error(captured: &Captured<'_>, stage: Stage, words: &str) {
    let errors = &captured.snapshot.soft_errors;
    let found = errors.iter().any(|error| error.stage == stage && error.message.contains(words));
    assert!(found, "no {stage:?} error says {words:?}: {errors:#?}");
}

pub fn thread<'a>(captured: &'a Captured<'_>, id: u64) -> &'a Thread {
    let wanted = |thread: &&Thread| thread.apple.as_ref().unwrap().id == id;
    captured.snapshot.threads.iter().find(wanted).unwrap()
}

pub fn module<'a>(captured: &'a Captured<'_>, base: u64) -> &'a Module {
    captured.snapshot.modules.iter().find(|module| module.base == base).unwrap()
}

/// Bytes of the dump's memory.
pub fn memory(captured: &Captured<'_>, address: u64, size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    (captured.memory.read(address, &mut bytes).done == size).then_some(bytes)
}

/// Asserts that both threads, with registers, names and the bytes of their stacks, and all modules are there.
pub fn assert_usable(captured: &Captured<'_>) {
    assert_threads(captured);
    assert_modules(captured);
}

pub fn assert_threads(captured: &Captured<'_>) {
    assert_eq!(captured.snapshot.threads.len(), 2);
    let main = thread(captured, MAIN_ID);
    assert_eq!(main.name.as_deref(), Some(&b"main"[..]));
    assert_registers(main, &main_cpu());
    let idle = thread(captured, IDLE_ID);
    assert_eq!(idle.name.as_deref(), Some(&b"com.app.worker"[..]));
    assert_registers(idle, &idle_cpu());
    assert_stack(captured, main_cpu().fp, 0x40, &MAIN_CALLERS);
    assert_stack(captured, idle_cpu().fp, 0x80, &IDLE_CALLERS);
}

pub fn assert_registers(thread: &Thread, expected: &Arm64State) {
    let Some(CpuState::Arm64(state)) = &thread.cpu else { panic!("{:?}", thread.cpu) };
    assert_eq!(Arm64State { vector: None, ..(**state).clone() }, *expected);
}

/// Asserts that the frame records of a chain are in the dump.
pub fn assert_stack(captured: &Captured<'_>, fp: u64, frame_size: u64, callers: &[u64]) {
    for (index, caller) in callers.iter().enumerate() {
        let at = fp + frame_size * index as u64;
        assert_eq!(memory(captured, at + 8, 8).as_deref(), Some(&caller.to_le_bytes()[..]), "frame {index}");
    }
}

pub fn assert_modules(captured: &Captured<'_>) {
    let expected = [
        (EXE, EXE_PATH, 0xe0),
        (LIB, LIB_PATH, 0x11),
        (BUNDLE, BUNDLE_PATH, 0xb0),
        (KERNEL_LIB, KERNEL_PATH, 0x4e),
        (C_LIB, C_PATH, 0xcc),
        (DYLD, "/usr/lib/dyld", 0xd1),
    ];
    assert_eq!(captured.snapshot.modules.len(), expected.len());
    for (base, path, uuid) in expected {
        assert_module(captured, base, path, Some(uuid));
    }
    assert!(module(captured, EXE).is_main);
}

pub fn assert_module(captured: &Captured<'_>, base: u64, path: &str, uuid: Option<u8>) {
    let module = module(captured, base);
    assert_eq!(String::from_utf8_lossy(&module.path), path);
    assert_eq!(module.id.as_ref().map(|id| id.as_bytes().to_vec()), uuid.map(|byte| vec![byte; 16]));
}
