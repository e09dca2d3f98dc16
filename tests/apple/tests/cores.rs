//! Mach-O cores in LLDB: frames, lines, arguments, registers, ids and stop reasons.
//!
//! In the lists of expected frames, what is in parentheses is known by its address only: the reader has our programs with
//! their debug information, but not the system's libraries, as people who read cores of others' machines.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail the test")]

use apple_tests::dumps::{self, Dump};
use apple_tests::emulator::Stop;
use apple_tests::lldb::{self, Answer, Question};
use apple_tests::scene::{DEEP_STACK, EXECUTABLE, FIRST_ID, Role, Scene};
use apple_tests::tools::Tools;
use apple_tests::{Arch, programs, tools};
use minidump_snapshot::CpuState;

const CRASH: [&str; 7] = [
    "libcrash.dylib`lib_leaf crash.c:5",
    "libcrash.dylib`lib_mid crash.c:10",
    "libcrash.dylib`lib_entry crash.c:16",
    "crasher`app_work crasher.c:10",
    "crasher`app_run crasher.c:15",
    "crasher`main crasher.c:21",
    "(dyld`start)",
];

const WAIT: [&str; 4] = [
    "(libsystem_kernel.dylib`__psynch_cvwait)",
    "(libsystem_pthread.dylib`wait_for_work)",
    "crasher`app_idle crasher.c:27",
    "(libsystem_pthread.dylib`thread_start)",
];

const PLUGGED: [&str; 6] = [
    "(libsystem_kernel.dylib`__psynch_cvwait)",
    "(libsystem_pthread.dylib`wait_for_work)",
    "crasher`app_callback crasher.c:33",
    "plugin.bundle`plugin_run plugin.c:3",
    "crasher`app_plugged crasher.c:38",
    "(libsystem_pthread.dylib`thread_start)",
];

const ABORT: [&str; 5] = [
    "(libsystem_kernel.dylib`__pthread_kill)",
    "(libsystem_pthread.dylib`pthread_kill)",
    "(libsystem_c.dylib`abort)",
    "crasher`app_check crasher.c:44",
    "(libsystem_pthread.dylib`thread_start)",
];

/// The same frames for a reader who has no file at all.
fn without_files(frames: &[&str]) -> Vec<String> {
    let bare = |frame: &&str| match frame.split_once(' ') {
        Some((function, _)) => format!("({function})"),
        None => (*frame).to_owned(),
    };
    frames.iter().map(bare).collect()
}

/// The process of most tests: it crashes in one thread; two wait, one has called `abort`.
fn crashed(tools: &Tools, arch: Arch) -> (Scene, Dump) {
    let roles = [Role::Crash, Role::Wait, Role::Plugged, Role::Abort];
    let scene = Scene::of(tools, programs::built(tools, arch), arch, &roles);
    let core = dumps::core(&scene, Some(0));
    (scene, core)
}

fn ours<'a>(tools: &Tools, core: &'a Dump, arch: Arch) -> Question<'a> {
    Question::with_ours(&core.path, arch, programs::built(tools, arch))
}

/// The frames of the thread at `index`.
fn frames(scene: &Scene, answer: &Answer, index: usize) -> Vec<String> {
    scene.shown(&answer.threads[index].frames)
}

/// T1. With the files of the program: functions, lines, arguments, ids, the reason, and all registers, for both processors.
#[test]
fn a_core_shows_lines_arguments_ids_and_the_reason() {
    let Some(tools) = tools::find("a_core_shows_lines_arguments_ids_and_the_reason") else { return };
    for arch in Arch::ALL {
        let (scene, core) = crashed(tools, arch);
        let question = ours(tools, &core, arch).registers(4).then("thread select 1").then("frame variable");
        let answer = lldb::ask_one(tools, question);
        assert!(answer.is_loaded);
        assert_eq!(frames(&scene, &answer, 0), CRASH, "{arch:?}");
        assert_eq!(frames(&scene, &answer, 1), WAIT, "{arch:?}");
        assert_eq!(frames(&scene, &answer, 2), PLUGGED, "{arch:?}");
        assert_eq!(frames(&scene, &answer, 3), ABORT, "{arch:?}");
        let ids: Vec<u64> = answer.threads.iter().map(|thread| thread.id).collect();
        assert_eq!(ids, [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2, FIRST_ID + 3]);
        let reasons: Vec<Option<&str>> =
            answer.threads.iter().map(|thread| thread.stop_reason.as_deref()).collect();
        // LLDB 19 does not read the exception state of x86-64.
        let reason = (arch == Arch::Arm64).then_some("ESR_EC_DABORT_EL0 (fault address: 0x10)");
        assert_eq!(reasons, [reason, None, None, None]);
        assert!(answer.threads[0].is_selected, "LLDB begins with the thread that crashed");
        let variables = &answer.replies[1];
        assert!(variables.contains("target = 0x0000000000000010"), "{variables}");
        assert!(variables.contains("value = 36"), "{variables}");
        for index in 0..4 {
            same_registers(&scene, &answer, index);
        }
    }
}

fn same_registers(scene: &Scene, answer: &Answer, index: usize) {
    let shown = &answer.threads[index];
    let same = |name: &str, value: u64| assert_eq!(shown.registers.get(name), Some(&value), "{index} {name}");
    match scene.cpu(index) {
        CpuState::Arm64(cpu) => {
            for (number, value) in cpu.x.iter().enumerate() {
                same(&format!("x{number}"), *value);
            }
            for (name, value) in [("fp", cpu.fp), ("lr", cpu.lr), ("sp", cpu.sp), ("pc", cpu.pc)] {
                same(name, value);
            }
            same("cpsr", u64::from(cpu.cpsr));
            let fault = scene.fault(index);
            same("far", fault.address);
            same("esr", u64::from(fault.syndrome));
        }
        CpuState::Amd64(cpu) => {
            let registers = [
                ("rax", cpu.rax),
                ("rbx", cpu.rbx),
                ("rcx", cpu.rcx),
                ("rdx", cpu.rdx),
                ("rdi", cpu.rdi),
                ("rsi", cpu.rsi),
                ("rbp", cpu.rbp),
                ("rsp", cpu.rsp),
                ("r8", cpu.r8),
                ("r15", cpu.r15),
                ("rip", cpu.rip),
                ("rflags", cpu.rflags),
            ];
            for (name, value) in registers {
                same(name, value);
            }
        }
        other => unreachable!("{other:?}"),
    }
}

/// T1. The vector registers of the thread that crashed.
#[test]
fn a_core_has_the_vector_registers_of_the_crashed_thread() {
    let Some(tools) = tools::find("a_core_has_the_vector_registers_of_the_crashed_thread") else { return };
    let (scene, core) = crashed(tools, Arch::Arm64);
    let answer = lldb::ask_one(tools, ours(tools, &core, Arch::Arm64).registers(1));
    let CpuState::Arm64(cpu) = scene.cpu(0) else { unreachable!() };
    let vector = cpu.vector.unwrap();
    for (number, value) in vector.v.iter().enumerate() {
        assert_eq!(answer.threads[0].vectors[&format!("v{number}")], value, "v{number}");
    }
    assert_eq!(answer.threads[0].registers["fpsr"], u64::from(vector.fpsr));
    assert_eq!(answer.threads[0].registers["fpcr"], u64::from(vector.fpcr));
}

/// T2. Without any file, every thread is unwound to its start; threads that wait in a system call show who called it.
#[test]
fn without_any_file_every_stack_is_complete() {
    let Some(tools) = tools::find("without_any_file_every_stack_is_complete") else { return };
    for arch in Arch::ALL {
        let (scene, core) = crashed(tools, arch);
        let answer = lldb::ask_one(tools, Question::bare(&core.path, arch));
        assert_eq!(answer.threads.len(), 4);
        for (index, expected) in [&CRASH[..], &WAIT, &PLUGGED, &ABORT].into_iter().enumerate() {
            assert_eq!(frames(&scene, &answer, index), without_files(expected), "{arch:?} thread {index}");
        }
    }
}

/// T4. Return addresses that carry signatures are shown without, and do not end a stack.
#[test]
fn signed_return_addresses_are_understood() {
    let Some(tools) = tools::find("signed_return_addresses_are_understood") else { return };
    let roles = [Role::Crash, Role::Wait, Role::Plugged, Role::Abort];
    let mut scene = Scene::of(tools, programs::built(tools, Arch::Arm64), Arch::Arm64, &roles);
    let plain = scene.cpu(0);
    scene.sign_return_addresses();
    let (CpuState::Arm64(plain), CpuState::Arm64(signed)) = (plain, scene.cpu(0)) else { unreachable!() };
    assert_ne!(plain.lr, signed.lr);
    let core = dumps::core(&scene, Some(0));
    let with_files = lldb::ask_one(tools, ours(tools, &core, Arch::Arm64).registers(1));
    let without = lldb::ask_one(tools, Question::bare(&core.path, Arch::Arm64));
    for (index, expected) in [&CRASH[..], &WAIT, &PLUGGED, &ABORT].into_iter().enumerate() {
        assert_eq!(frames(&scene, &with_files, index), expected, "thread {index}");
        assert_eq!(frames(&scene, &without, index), without_files(expected), "thread {index}, no files");
    }
    assert_eq!(with_files.threads[0].registers["lr"], signed.lr, "the register itself is not altered");
}

/// T5. Each of the two notes that say where the executable lies is enough for LLDB to slide it; with both, it is there once.
#[test]
fn either_note_slides_the_executable_and_both_do_not_double_it() {
    let Some(tools) = tools::find("either_note_slides_the_executable_and_both_do_not_double_it") else {
        return;
    };
    let (_, core) = crashed(tools, Arch::Arm64);
    let (images, main) = ("all image infos", "main bin spec");
    let variants = [vec![], vec![main], vec![images], vec![images, main]].map(|hidden| core.hiding(&hidden));
    let questions: Vec<Question<'_>> = variants.iter().map(|core| ours(tools, core, Arch::Arm64)).collect();
    let answers = lldb::ask(tools, &questions);
    let places = answers.iter().map(|answer| {
        let executables = answer.images.iter().filter(|image| image.path.ends_with("/crasher"));
        executables.map(|image| image.address).collect::<Vec<_>>()
    });
    let unslid = 0x1_0000_0000;
    assert_eq!(places.collect::<Vec<_>>(), [[EXECUTABLE], [EXECUTABLE], [EXECUTABLE], [unslid]]);
    // What is only in "all image infos" is unknown without it.
    let counts: Vec<usize> = answers.iter().map(|answer| answer.images.len()).collect();
    assert_eq!(counts, [3, 3, 1, 1], "each file once");
    for answer in &answers[..2] {
        let library = answer.images.iter().find(|image| image.path.ends_with("/libcrash.dylib")).unwrap();
        assert_eq!(library.address, 0x1_0123_4000);
    }
}

/// T6. Calls of nothing and of data, and a leaf: each shows how it came there.
#[test]
fn stray_calls_show_how_they_came_about() {
    let Some(tools) = tools::find("stray_calls_show_how_they_came_about") else { return };
    let call = ["crasher`app_call crasher.c:50", "(libsystem_pthread.dylib`thread_start)"];
    let (to_null, to_data) =
        ([&["0x0"][..], &call].concat(), [&["(libsystem_c.dylib`annotations)"][..], &call].concat());
    for arch in Arch::ALL {
        let roles = [Role::CallNull, Role::CallData, Role::Crash];
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &roles);
        let core = dumps::core(&scene, Some(0));
        let with_files = lldb::ask_one(tools, ours(tools, &core, arch));
        let without = lldb::ask_one(tools, Question::bare(&core.path, arch));
        for (index, expected) in [&to_null[..], &to_data, &CRASH].into_iter().enumerate() {
            assert_eq!(frames(&scene, &with_files, index), expected, "{arch:?} thread {index}");
            assert_eq!(frames(&scene, &without, index), without_files(expected), "{arch:?} thread {index}");
        }
        if arch == Arch::Arm64 {
            let reasons = with_files.threads.iter().map(|thread| thread.stop_reason.clone().unwrap());
            let data = scene.cpu(1).instruction_pointer();
            assert_eq!(
                reasons.collect::<Vec<_>>(),
                [
                    "ESR_EC_IABORT_EL0 (fault address: 0x0)".to_owned(),
                    format!("ESR_EC_IABORT_EL0 (fault address: {data:#x})"),
                    "ESR_EC_DABORT_EL0 (fault address: 0x10)".to_owned(),
                ]
            );
        }
    }
}

/// T6. A stack that is used up is shown down to where the thread started, and the address is in the guard page.
#[test]
fn an_overflown_stack_is_shown_to_its_beginning() {
    let Some(tools) = tools::find("an_overflown_stack_is_shown_to_its_beginning") else { return };
    for arch in Arch::ALL {
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &[Role::Wait, Role::Overflow]);
        let Stop::Write(address) = scene.threads[1].stop else { panic!("{:?}", scene.threads[1].stop) };
        let core = dumps::core(&scene, Some(1));
        let with_files = lldb::ask_one(tools, ours(tools, &core, arch));
        let without = lldb::ask_one(tools, Question::bare(&core.path, arch));
        let outermost = [
            "crasher`app_recurse crasher.c:57",
            "crasher`app_overflow crasher.c:64",
            "(libsystem_pthread.dylib`thread_start)",
        ];
        let depth = with_files.threads[0].frames.len();
        // 32 bytes a frame on arm64, 48 on x86-64.
        assert!(depth > 600, "{arch:?}: {depth} frames");
        assert_eq!(without.threads[0].frames.len(), depth, "{arch:?}");
        assert_eq!(frames(&scene, &with_files, 0)[depth - 3..], outermost, "{arch:?}");
        assert_eq!(frames(&scene, &without, 0)[depth - 3..], without_files(&outermost), "{arch:?}");
        assert!(with_files.threads[0].is_selected);
        if arch == Arch::Arm64 {
            let reason = format!("ESR_EC_DABORT_EL0 (fault address: {address:#x})");
            assert_eq!(with_files.threads[0].stop_reason.as_ref(), Some(&reason));
        }
    }
}

/// T6. The same of a stack of half a megabyte, where the files of the program are there.
#[test]
fn a_deep_overflown_stack_is_shown_to_its_beginning() {
    let Some(tools) = tools::find("a_deep_overflown_stack_is_shown_to_its_beginning") else { return };
    let arch = Arch::Arm64;
    let scene = Scene::of(tools, programs::built(tools, arch), arch, &[Role::Wait, Role::DeepOverflow]);
    let core = dumps::core(&scene, Some(1));
    assert!(core.bytes.len() as u64 <= DEEP_STACK + (16 << 10), "{} bytes", core.bytes.len());
    let answer = lldb::ask_one(tools, ours(tools, &core, arch));
    let shown = frames(&scene, &answer, 0);
    assert!(shown.len() > 16_000, "{} frames of 32 bytes", shown.len());
    assert_eq!(shown[0], "crasher`app_recurse crasher.c:56");
    assert_eq!(
        shown[shown.len() - 3..],
        [
            "crasher`app_recurse crasher.c:57",
            "crasher`app_overflow crasher.c:64",
            "(libsystem_pthread.dylib`thread_start)",
        ]
    );
    assert_eq!(frames(&scene, &answer, 1), WAIT);
    let bare = lldb::ask_one(tools, Question::bare(&core.path, arch));
    let pcs = |answer: &Answer| answer.threads[0].frames.iter().map(|frame| frame.pc).collect::<Vec<u64>>();
    assert_eq!(pcs(&bare), pcs(&answer), "without any file");
}

/// T6. A chain of frame records that leads back to itself ends the stack, and hides nothing before it.
#[test]
fn a_cyclic_chain_of_frames_ends_the_stack() {
    let Some(tools) = tools::find("a_cyclic_chain_of_frames_ends_the_stack") else { return };
    let arch = Arch::Arm64;
    let mut scene = Scene::of(tools, programs::built(tools, arch), arch, &[Role::Crash, Role::Wait]);
    // The record of `main` becomes its own successor.
    let records = scene.frame_records(0);
    scene.write_stack(0, records[4], &records[4].to_le_bytes());
    let core = dumps::core(&scene, Some(0));
    let answer = lldb::ask_one(tools, ours(tools, &core, arch));
    assert_eq!(frames(&scene, &answer, 0)[..CRASH.len() - 1], CRASH[..CRASH.len() - 1]);
    assert!(answer.threads[0].frames.len() < 20, "{} frames", answer.threads[0].frames.len());
    assert_eq!(frames(&scene, &answer, 1), WAIT);
}

/// A thread that called `abort` has no exception that LLDB would stop at: it is found because it comes first.
#[test]
fn a_thread_that_aborted_is_what_lldb_begins_with() {
    let Some(tools) = tools::find("a_thread_that_aborted_is_what_lldb_begins_with") else { return };
    for arch in Arch::ALL {
        let roles = [Role::Wait, Role::Plugged, Role::Abort];
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &roles);
        let core = dumps::core(&scene, Some(2));
        let answer = lldb::ask_one(tools, ours(tools, &core, arch));
        assert!(answer.threads[0].is_selected);
        assert_eq!(answer.threads[0].id, FIRST_ID + 2);
        assert_eq!(frames(&scene, &answer, 0), ABORT, "{arch:?}");
        assert_eq!(frames(&scene, &answer, 1), WAIT, "{arch:?}");
        assert_eq!(frames(&scene, &answer, 2), PLUGGED, "{arch:?}");
        assert!(answer.threads.iter().all(|thread| thread.stop_reason.is_none()), "{arch:?}");
    }
}
