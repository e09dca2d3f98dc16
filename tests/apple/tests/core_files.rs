//! The bytes of Mach-O cores, and cores that are large, cut or crowded.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use apple_tests::dumps::{self, Dump};
use apple_tests::lldb::{self, Answer, Question};
use apple_tests::scene::{FIRST_ID, Role, STACK, Scene};
use apple_tests::strict::Core;
use apple_tests::tools::Tools;
use apple_tests::{Arch, programs, tools};
use minidump_mach::CaptureOptions;
use minidump_mach::MachTask as _;
use minidump_mach::sim::{SimArch, SimTask, SimThread, SyntheticImage};
use minidump_snapshot::CpuState;
use minidump_snapshot::cpu::Arm64State;

fn crashed(tools: &Tools, arch: Arch) -> (Scene, Dump) {
    let roles = [Role::Crash, Role::Wait, Role::Plugged, Role::Abort];
    let scene = Scene::of(tools, programs::built(tools, arch), arch, &roles);
    let core = dumps::core(&scene, Some(0));
    (scene, core)
}

/// T9. No two segments overlap, each byte is the process's, and code is there for every frame but at the program counters of
/// functions without a frame.
#[test]
fn segments_hold_unmodified_memory_without_overlap_and_cover_the_frames() {
    let Some(tools) = tools::find("segments_hold_unmodified_memory_without_overlap_and_cover_the_frames")
    else {
        return;
    };
    for arch in Arch::ALL {
        let (scene, dump) = crashed(tools, arch);
        let core = Core::parse(&dump.bytes).unwrap();
        let task = scene.task();
        for segment in &core.segments {
            let mut genuine = vec![0; segment.bytes.len()];
            assert_eq!(task.read(segment.address, &mut genuine), Ok(genuine.len()), "{:#x}", segment.address);
            assert_eq!(genuine, segment.bytes, "{:#x}", segment.address);
        }
        let answer =
            lldb::ask_one(tools, Question::with_ours(&dump.path, arch, programs::built(tools, arch)));
        for (index, thread) in answer.threads.iter().enumerate() {
            let (pc, sp) = core.pc_and_sp(index);
            assert_eq!(pc, thread.frames[0].pc);
            for frame in &thread.frames[1..] {
                let code = core.memory(frame.pc - 4, 8);
                assert!(code.is_some(), "{arch:?} thread {index}: no code at {:#x}", frame.pc);
            }
            let top = scene.threads[index].bottom + scene.threads[index].stack.len() as u64;
            // The ABIs of both processors let functions use 128 bytes below the stack pointer.
            assert!(core.memory(sp - 128, top - sp + 128).is_some(), "{arch:?} thread {index}: its stack");
        }
        // All but the leaf of x86-64, which has a frame, stand in functions without one.
        let without_frame = if arch == Arch::Arm64 { 0..4 } else { 1..4 };
        for index in 0..4 {
            let (pc, _) = core.pc_and_sp(index);
            assert_eq!(
                core.memory(pc, 1).is_none(),
                without_frame.contains(&index),
                "{arch:?} thread {index}"
            );
        }
    }
}

/// T9. Header, notes and states are what the process says.
#[test]
fn header_notes_and_states_are_the_process_s() {
    let Some(tools) = tools::find("header_notes_and_states_are_the_process_s") else { return };
    for arch in Arch::ALL {
        let (scene, dump) = crashed(tools, arch);
        let core = Core::parse(&dump.bytes).unwrap();
        // Subtype and capabilities are the executable's.
        let subtype = scene.image("crasher").bytes[8..12].try_into().unwrap();
        assert_eq!(core.cpu, (arch.cpu_type(), u32::from_le_bytes(subtype)));
        // Version 3; the bits are what the machine tells.
        let bits = if arch == Arch::Arm64 { 47 } else { 48 };
        assert_eq!(core.notes["addrable bits"], [3_u32, bits, 0, 0].map(u32::to_le_bytes).concat());
        let metadata = core.json("process metadata");
        let ids: Vec<u64> = metadata["threads"]
            .as_array()
            .unwrap()
            .iter()
            .map(|thread| thread["thread_id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2, FIRST_ID + 3]);
        let mut expected: Vec<_> =
            scene.images.iter().map(|image| (image.path.clone(), image.uuid, image.base)).collect();
        // The executable first, the others in any order.
        assert_eq!(core.images[0].path.as_deref(), Some("/Applications/Crasher.app/Contents/MacOS/crasher"));
        let mut found: Vec<_> = core
            .images
            .iter()
            .map(|image| (image.path.clone().unwrap(), image.uuid, image.address))
            .collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{arch:?}");
        for image in &core.images {
            let file = scene.images.iter().find(|file| file.base == image.address).unwrap();
            let segments: Vec<_> =
                file.segments.iter().map(|segment| (segment.name.clone(), segment.address)).collect();
            assert_eq!(image.segments, segments, "{arch:?} {:?}", image.path);
            assert!(image.executing, "{:?} has a frame", image.path);
        }
        let main = &core.notes["main bin spec"];
        let executable = scene.image("crasher");
        let words = [2_u32, 0].map(u32::to_le_bytes).concat();
        let expected =
            [&words[..], &u64::MAX.to_le_bytes(), &executable.slide.to_le_bytes(), &executable.uuid].concat();
        assert_eq!(main[..40], expected[..]);
        let flavors: Vec<u32> = core.threads[0].iter().map(|(flavor, _)| *flavor).collect();
        assert_eq!(flavors, if arch == Arch::Arm64 { [6, 7, 17] } else { [4, 6, 5] });
    }
}

/// T7. Whatever its length, LLDB does not hang on a core that was cut off, nor crash; the whole one opens.
#[test]
fn a_core_cut_off_anywhere_neither_hangs_nor_crashes_lldb() {
    let Some(tools) = tools::find("a_core_cut_off_anywhere_neither_hangs_nor_crashes_lldb") else { return };
    let (_, dump) = crashed(tools, Arch::Arm64);
    let cuts: Vec<Dump> = (0..dump.bytes.len()).step_by(512).map(|size| dump.cut(size)).collect();
    let questions = cuts.iter().chain([&dump]).map(|dump| Question::bare(&dump.path, Arch::Arm64));
    // A session that hangs fails in `survived`.
    let answers = lldb::survived(tools, &questions.collect::<Vec<_>>());
    // LLDB 19 takes it for granted that an image's path is there when its entry is, and crashes when the file ends between
    // the two. It does nowhere else.
    let (images, end) = Core::parse(&dump.bytes).unwrap().places["all image infos"];
    for (cut, _) in cuts.iter().zip(&answers).filter(|(_, answer)| answer.is_none()) {
        let size = cut.bytes.len() as u64;
        assert!(images < size && size < end, "LLDB crashes with {size} bytes");
    }
    let answers: Vec<Answer> = answers.into_iter().flatten().collect();
    assert!(!answers[0].is_loaded, "an empty file is no core");
    assert!(answers.last().unwrap().is_loaded);
    // As soon as notes and commands are there, threads are shown with ids and what is there of their stacks.
    let most =
        answers.iter().filter(|answer| answer.threads.iter().any(|thread| thread.id == FIRST_ID)).count();
    assert!(most > 4, "{most} of {} show the thread that crashed", answers.len());
    for cut in &cuts {
        assert!(Core::parse(&cut.bytes).is_err(), "{} bytes are less than the core", cut.bytes.len());
    }
}

/// T8. Forty threads with three hundred frames each: a small file, and all frames.
#[test]
fn forty_deep_threads_are_small_and_complete() {
    let Some(tools) = tools::find("forty_deep_threads_are_small_and_complete") else { return };
    let roles: Vec<Role> = (0..40).map(|index| Role::Descend(297 + index % 2)).collect();
    let scene = Scene::of(tools, programs::built(tools, Arch::Arm64), Arch::Arm64, &roles);
    let dump = dumps::core(&scene, None);
    Core::parse(&dump.bytes).unwrap();
    let used = scene.threads.iter().map(|thread| thread.bottom + STACK - thread.registers["sp"]).sum::<u64>();
    // A frame record is sixteen bytes.
    assert!(used >= 40 * 300 * 16, "the stacks are deep: {used} bytes");
    assert!(dump.bytes.len() <= 300 << 10, "{} bytes for {used} of stacks", dump.bytes.len());
    let answer = lldb::ask_one(
        tools,
        Question::with_ours(&dump.path, Arch::Arm64, programs::built(tools, Arch::Arm64)),
    );
    let depths: Vec<usize> = answer.threads.iter().map(|thread| thread.frames.len()).collect();
    // System call, wait, the levels, where the thread starts.
    let expected: Vec<usize> = (0..40).map(|index| 297 + index % 2 + 3).collect();
    assert_eq!(depths, expected);
}

/// T10. Two thousand modules, and frames in the last of them.
#[test]
fn two_thousand_modules_are_listed() {
    let Some(tools) = tools::find("two_thousand_modules_are_listed") else { return };
    let library = |index: u64| 0x1_1000_0000 + index * 0x1_0000;
    let mut builder = SimTask::builder(SimArch::Arm64);
    for index in 0..1_999_u64 {
        let mut uuid = [0x5a; 16];
        uuid[..8].copy_from_slice(&index.to_be_bytes());
        let image = SyntheticImage::library(&format!("/usr/lib/lib{index}.dylib")).uuid(uuid);
        builder = builder.image(&image, library(index));
    }
    let program = SyntheticImage::executable("/Applications/Many.app/Contents/MacOS/Many").uuid([0xaa; 16]);
    let frames = [library(1_998) + 0x2010, library(7) + 0x2020, 0x1_0000_2030];
    let cpu = Arm64State {
        pc: library(3) + 0x2000,
        lr: frames[0],
        sp: 0x1_7000_3f00,
        fp: 0x1_7000_3f20,
        ..Arm64State::default()
    };
    let thread = SimThread::new(FIRST_ID).with_cpu(&CpuState::Arm64(Box::new(cpu)));
    let task = builder
        .image(&program, 0x1_0000_0000)
        .stack(0x1_7000_0000, 0x4000)
        .frames(0x1_7000_3f20, 0x20, &[&frames[..], &[0]].concat())
        .thread(thread)
        .build()
        .unwrap();
    let dump = dumps::core_of(&task, None, &CaptureOptions::default());
    let core = Core::parse(&dump.bytes).unwrap();
    // And dyld itself.
    assert_eq!(core.images.len(), 2_001);
    assert_eq!(core.images[0].address, 0x1_0000_0000, "the executable first");
    let executing = core.images.iter().filter(|image| image.executing).count();
    assert_eq!(executing, 4);
    let answer = lldb::ask_one(tools, Question::bare(&dump.path, Arch::Arm64));
    assert!(answer.is_loaded);
    let shown: Vec<u64> = answer.threads[0].frames.iter().map(|frame| frame.pc).collect();
    assert_eq!(shown, [&[library(3) + 0x2000][..], &frames].concat());
}
