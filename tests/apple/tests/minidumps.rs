//! macOS minidumps in LLDB and minidump-stackwalk: both read the same crash, for all that a minidump of a Mac may hold.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use apple_tests::dumps::{self, Dump};
use apple_tests::lldb::{self, Question};
use apple_tests::scene::{FIRST_ID, Role, Scene};
use apple_tests::tools::Tools;
use apple_tests::{Arch, programs, stackwalk, tools};
use minidump::format::ContextFlagsAmd64;
use minidump::{
    Minidump, MinidumpContext, MinidumpMemoryList, MinidumpRawContext, MinidumpSystemInfo, MinidumpThreadList,
};
use minidump_formats::minidump::Arm64Context;
use minidump_snapshot::CpuState;

/// Frames of the reader who has all files, the system's too.
const CRASH: [&str; 7] = [
    "libcrash.dylib`lib_leaf crash.c:5",
    "libcrash.dylib`lib_mid crash.c:10",
    "libcrash.dylib`lib_entry crash.c:16",
    "crasher`app_work crasher.c:10",
    "crasher`app_run crasher.c:15",
    "crasher`main crasher.c:21",
    "dyld`start",
];

const WAIT: [&str; 4] = [
    "libsystem_kernel.dylib`__psynch_cvwait",
    "libsystem_pthread.dylib`wait_for_work",
    "crasher`app_idle crasher.c:27",
    "libsystem_pthread.dylib`thread_start",
];

const PLUGGED: [&str; 6] = [
    "libsystem_kernel.dylib`__psynch_cvwait",
    "libsystem_pthread.dylib`wait_for_work",
    "crasher`app_callback crasher.c:33",
    "plugin.bundle`plugin_run plugin.c:3",
    "crasher`app_plugged crasher.c:38",
    "libsystem_pthread.dylib`thread_start",
];

const ROLES: [Role; 3] = [Role::Crash, Role::Wait, Role::Plugged];

fn scene(tools: &Tools, arch: Arch) -> Scene {
    Scene::of(tools, programs::built(tools, arch), arch, &ROLES)
}

/// A reader who has our programs with debug information, and the system's libraries in a folder.
fn question<'a>(tools: &Tools, dump: &'a Dump, arch: Arch) -> Question<'a> {
    let built = programs::built(tools, arch);
    let paths = format!("settings set target.exec-search-paths {}", built.system().display());
    Question::with_ours(&dump.path, arch, built).after(&paths)
}

/// The same in minidump-stackwalk, with symbol files.
fn symbols(tools: &Tools, scene: &Scene) -> tempfile::TempDir {
    let store = tempfile::tempdir().unwrap();
    let built = programs::built(tools, scene.arch);
    for image in &scene.images {
        let name = image.name();
        let mut files = vec![built.path(name)];
        if programs::OURS.contains(&name) {
            files.insert(0, built.debug_information(name));
        }
        stackwalk::store_symbols(tools, scene.arch, &files, store.path());
    }
    store
}

/// M1, M2. In either pair of architecture and context of an arm64 process, and in that of an x86-64 one, LLDB shows frames,
/// lines, ids, the reason, and all general registers.
#[test]
fn lldb_reads_frames_and_registers_of_all_contexts() {
    let Some(tools) = tools::find("lldb_reads_frames_and_registers_of_all_contexts") else { return };
    for (arch, context) in CONTEXTS {
        let scene = scene(tools, arch);
        let dump = dumps::minidump(&scene, Some(0), context);
        let answer = lldb::ask_one(tools, question(tools, &dump, arch).registers(3));
        assert!(answer.is_loaded);
        for (index, expected) in [&CRASH[..], &WAIT, &PLUGGED].into_iter().enumerate() {
            let thread = &answer.threads[index];
            assert_eq!(scene.shown(&thread.frames), expected, "{arch:?} {context:?} thread {index}");
            // A minidump has room for half of an id.
            assert_eq!(thread.id, (FIRST_ID + index as u64) & 0xffff_ffff);
            for (name, value) in general_registers(&scene.cpu(index)) {
                assert_eq!(
                    thread.registers.get(&name),
                    Some(&value),
                    "{arch:?} {context:?} thread {index} {name}"
                );
            }
        }
        let reason = "EXC_BAD_ACCESS (code=1, address=0x10)";
        assert_eq!(answer.threads[0].stop_reason.as_deref(), Some(reason), "{arch:?} {context:?}");
        assert!(answer.threads[0].is_selected);
        if (arch, context) == (Arch::Arm64, Arm64Context::Breakpad) {
            // LLDB takes all contexts of arm64 for Breakpad's; only where it is right are these true.
            let CpuState::Arm64(cpu) = scene.cpu(0) else { unreachable!() };
            let vector = cpu.vector.unwrap();
            assert_eq!(answer.threads[0].registers["cpsr"], u64::from(cpu.cpsr));
            assert_eq!(answer.threads[0].registers["fpsr"], u64::from(vector.fpsr));
            for (number, value) in vector.v.iter().enumerate() {
                assert_eq!(answer.threads[0].vectors[&format!("v{number}")], value, "v{number}");
            }
        }
    }
}

const CONTEXTS: [(Arch, Arm64Context); 3] = [
    (Arch::Arm64, Arm64Context::Breakpad),
    (Arch::Arm64, Arm64Context::Microsoft),
    (Arch::X86_64, Arm64Context::Breakpad),
];

fn general_registers(cpu: &CpuState) -> Vec<(String, u64)> {
    let named = |registers: &[(&str, u64)]| -> Vec<(String, u64)> {
        registers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    };
    match cpu {
        CpuState::Arm64(cpu) => {
            let mut registers = named(&[("fp", cpu.fp), ("lr", cpu.lr), ("sp", cpu.sp), ("pc", cpu.pc)]);
            registers.extend(cpu.x.iter().enumerate().map(|(number, value)| (format!("x{number}"), *value)));
            registers
        }
        CpuState::Amd64(cpu) => named(&[
            ("rax", cpu.rax),
            ("rbx", cpu.rbx),
            ("rcx", cpu.rcx),
            ("rdx", cpu.rdx),
            ("rsi", cpu.rsi),
            ("rdi", cpu.rdi),
            ("rbp", cpu.rbp),
            ("rsp", cpu.rsp),
            ("r8", cpu.r8),
            ("r9", cpu.r9),
            ("r10", cpu.r10),
            ("r11", cpu.r11),
            ("r12", cpu.r12),
            ("r13", cpu.r13),
            ("r14", cpu.r14),
            ("r15", cpu.r15),
            ("rip", cpu.rip),
            ("rflags", cpu.rflags),
        ]),
        other => unreachable!("{other:?}"),
    }
}

/// The frames without the caller of a system call: minidump-stackwalk goes by frame records where it has no unwind table, as
/// of these functions, and no memory that a minidump has or lacks makes it look at the link register or the top of the stack.
fn in_stackwalk(frames: &[&'static str]) -> Vec<&'static str> {
    let is_call = frames[0].starts_with("libsystem_kernel.dylib");
    frames
        .iter()
        .enumerate()
        .filter(|(index, _)| !(is_call && *index == 1))
        .map(|(_, frame)| *frame)
        .collect()
}

/// M1. minidump-stackwalk reads the same frames with the symbol files of dump_syms, and the crashing thread and its reason.
#[test]
fn stackwalk_reads_frames_of_all_contexts_with_symbols() {
    let Some(tools) = tools::find("stackwalk_reads_frames_of_all_contexts_with_symbols") else { return };
    for (arch, context) in CONTEXTS {
        let scene = scene(tools, arch);
        let dump = dumps::minidump(&scene, Some(0), context);
        let store = symbols(tools, &scene);
        let report = stackwalk::report(tools, &dump.path, Some(store.path()));
        assert_eq!(report["crash_info"]["type"], "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS");
        assert_eq!(report["crash_info"]["address"], "0x0000000000000010");
        assert_eq!(report["crash_info"]["crashing_thread"], 0);
        assert_eq!(report["system_info"]["os"], "Mac OS X");
        assert_eq!(report["system_info"]["os_ver"], "14.5.1 23F79");
        assert_eq!(report["system_info"]["cpu_arch"], if arch == Arch::Arm64 { "arm64" } else { "amd64" });
        for (index, expected) in [&CRASH[..], &WAIT, &PLUGGED].into_iter().enumerate() {
            let shown = stackwalk::frames(&report, index);
            assert_eq!(shown, in_stackwalk(expected), "{arch:?} {context:?} thread {index}");
        }
    }
}

/// M2. The context of an x86-64 thread says which of its registers are true, and has the floating-point ones.
#[test]
fn contexts_of_x86_64_claim_what_they_have() {
    let Some(tools) = tools::find("contexts_of_x86_64_claim_what_they_have") else { return };
    let scene = scene(tools, Arch::X86_64);
    let dump = dumps::minidump(&scene, Some(0), Arm64Context::Breakpad);
    let read = Minidump::read(dump.bytes.as_slice()).unwrap();
    let threads = read.get_stream::<MinidumpThreadList<'_>>().unwrap();
    let (system, misc) = (read.get_stream::<MinidumpSystemInfo>().unwrap(), read.get_stream().ok());
    let context: MinidumpContext = threads.threads[0].context(&system, misc.as_ref()).unwrap().into_owned();
    let MinidumpRawContext::Amd64(raw) = context.raw else { panic!("{context:?}") };
    let CpuState::Amd64(cpu) = scene.cpu(0) else { unreachable!() };
    let claimed = ContextFlagsAmd64::CONTEXT_AMD64_FULL | ContextFlagsAmd64::CONTEXT_AMD64_SEGMENTS;
    assert_eq!(raw.context_flags & claimed.bits(), claimed.bits(), "{:#x}", raw.context_flags);
    assert_eq!(raw.mx_csr, 0x1f80);
    assert_eq!(raw.float_save, cpu.xsave[..512]);
}

/// M3. Each stack is in the list of memory, where LLDB looks, not only with its thread.
#[test]
fn stacks_are_in_the_list_of_memory() {
    let Some(tools) = tools::find("stacks_are_in_the_list_of_memory") else { return };
    for arch in Arch::ALL {
        let scene = scene(tools, arch);
        let dump = dumps::minidump(&scene, Some(0), Arm64Context::Breakpad);
        let read = Minidump::read(dump.bytes.as_slice()).unwrap();
        let memory = read.get_stream::<MinidumpMemoryList<'_>>().unwrap();
        for (index, thread) in scene.threads.iter().enumerate() {
            let sp = scene.cpu(index).stack_pointer();
            let range = memory.memory_at_address(sp).unwrap();
            assert!(
                range.base_address <= sp - 128,
                "{arch:?}: 128 bytes below the stack pointer belong to it"
            );
            let offset = usize::try_from(range.base_address - thread.bottom).unwrap();
            assert_eq!(range.bytes, &thread.stack[offset..], "{arch:?} thread {index}");
        }
    }
}

/// Signed return addresses: LLDB has to be told the number of bits, minidump-stackwalk reads it in the dump.
#[test]
fn signed_return_addresses_are_understood() {
    let Some(tools) = tools::find("signed_return_addresses_are_understood") else { return };
    let mut scene = scene(tools, Arch::Arm64);
    scene.sign_return_addresses();
    let dump = dumps::minidump(&scene, Some(0), Arm64Context::Breakpad);
    let bits = "settings set target.process.virtual-addressable-bits 47";
    let answer = lldb::ask_one(tools, question(tools, &dump, Arch::Arm64).after(bits));
    let report = stackwalk::report(tools, &dump.path, Some(symbols(tools, &scene).path()));
    for (index, expected) in [&CRASH[..], &WAIT, &PLUGGED].into_iter().enumerate() {
        assert_eq!(scene.shown(&answer.threads[index].frames), expected, "LLDB, thread {index}");
        let shown = stackwalk::frames(&report, index);
        assert_eq!(shown, in_stackwalk(expected), "minidump-stackwalk, thread {index}");
    }
}
