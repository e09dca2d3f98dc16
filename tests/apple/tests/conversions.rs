//! Conversion of macOS dumps: what a reader sees stays, from one format to the other, and of files that LLDB wrote.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use apple_tests::dumps;
use apple_tests::lldb::{self, Question};
use apple_tests::scene::{FIRST_ID, Role, Scene};
use apple_tests::strict::Core;
use apple_tests::tools::Tools;
use apple_tests::{Arch, programs, stackwalk, tools};
use minidump_formats::minidump::Arm64Context;
use minidump_writer::convert::{Input, convert};
use minidump_writer::{DumpOptions, Format};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

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

fn scene(tools: &Tools, arch: Arch) -> Scene {
    Scene::of(tools, programs::built(tools, arch), arch, &[Role::Crash, Role::Wait])
}

/// `input` as a file of the other format.
fn converted(input: &Path, format: Format) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("converted");
    let mut output = std::fs::File::create(&path).unwrap();
    let report = convert(Input::File(input), Some(format), &DumpOptions::default(), &mut output).unwrap();
    assert_eq!(report.threads, 2);
    (folder, path)
}

fn frames(scene: &Scene, tools: &Tools, file: &Path) -> Vec<Vec<String>> {
    let question = Question::with_ours(file, scene.arch, programs::built(tools, scene.arch));
    let answer = lldb::ask_one(tools, question);
    answer.threads.iter().map(|thread| scene.shown(&thread.frames)).collect()
}

/// A core of ours becomes a minidump that both readers understand, and again a core that shows all that the first one did.
#[test]
fn a_core_becomes_a_minidump_and_a_core_again() {
    let Some(tools) = tools::find("a_core_becomes_a_minidump_and_a_core_again") else { return };
    for arch in Arch::ALL {
        let scene = scene(tools, arch);
        let core = dumps::core(&scene, Some(0));
        let (_folder, minidump) = converted(&core.path, Format::Minidump);
        assert_eq!(frames(&scene, tools, &minidump)[0][..6], CRASH[..6], "{arch:?}");
        let report = stackwalk::report(tools, &minidump, None);
        assert_eq!(report["crash_info"]["type"], "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS");
        assert_eq!(report["crash_info"]["address"], "0x0000000000000010");
        let (_folder, again) = converted(&minidump, Format::MachOCore);
        Core::parse(&std::fs::read(&again).unwrap()).unwrap();
        assert_eq!(frames(&scene, tools, &again), [&CRASH[..], &WAIT], "{arch:?}");
        let answer = lldb::ask_one(tools, Question::bare(&again, arch));
        let first = lldb::ask_one(tools, Question::bare(&core.path, arch));
        assert_eq!(
            answer.threads, first.threads,
            "{arch:?}: ids, reasons and frames for a reader without files"
        );
    }
}

/// A minidump of ours becomes a core with the frames that the files of the program explain.
#[test]
fn a_minidump_becomes_a_core() {
    let Some(tools) = tools::find("a_minidump_becomes_a_core") else { return };
    for arch in Arch::ALL {
        let scene = scene(tools, arch);
        let dump = dumps::minidump(&scene, Some(0), Arm64Context::Microsoft);
        let (_folder, core) = converted(&dump.path, Format::MachOCore);
        Core::parse(&std::fs::read(&core).unwrap()).unwrap();
        let question = Question::with_ours(&core, arch, programs::built(tools, arch));
        let answer = lldb::ask_one(tools, question);
        assert_eq!(scene.shown(&answer.threads[0].frames)[..6], CRASH[..6], "{arch:?}");
        assert_eq!(answer.threads[0].id, FIRST_ID, "{arch:?}: the whole id");
        let reason = (arch == Arch::Arm64).then_some("ESR_EC_DABORT_EL0 (fault address: 0x10)");
        assert_eq!(answer.threads[0].stop_reason.as_deref(), reason);
    }
}

/// Cores and minidumps that LLDB itself writes of the process are read, too.
#[test]
fn dumps_that_lldb_writes_are_read() {
    let Some(tools) = tools::find("dumps_that_lldb_writes_are_read") else { return };
    let scene = scene(tools, Arch::Arm64);
    let core = dumps::core(&scene, Some(0));
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str| folder.path().join(name);
    let save = |plugin: &str, name: &str| {
        format!("process save-core --style=stack --plugin-name={plugin} {}", written(name).display())
    };
    let built = programs::built(tools, scene.arch);
    let question = Question::with_ours(&core.path, scene.arch, built);
    lldb::ask_one(tools, question.then(&save("mach-o", "core")).then(&save("minidump", "minidump")));
    let (_minidump, of_core) = converted(&written("core"), Format::Minidump);
    assert_eq!(frames(&scene, tools, &of_core), [&CRASH[..6], &WAIT[..3]]);
    let (_core, of_minidump) = converted(&written("minidump"), Format::MachOCore);
    let answer = lldb::ask_one(tools, Question::bare(&of_minidump, scene.arch));
    let threads: Vec<(u64, u64)> =
        answer.threads.iter().map(|thread| (thread.id, thread.frames[0].pc)).collect();
    // LLDB's minidumps have half of an id, and the waiting thread in front; the one of the exception goes there again.
    let half = |index: u64| (FIRST_ID + index) & 0xffff_ffff;
    let pc = |index: usize| scene.cpu(index).instruction_pointer();
    assert_eq!(threads, [(half(0), pc(0)), (half(1), pc(1))]);
    assert!(answer.threads[0].is_selected);
    assert_eq!(frames(&scene, tools, &of_minidump), [&CRASH[..6], &WAIT[..3]]);
    let report = stackwalk::report(tools, &of_core, None);
    let uuid = scene.image("libcrash.dylib").uuid_text().replace('-', "") + "0";
    let modules = report["modules"].as_array().unwrap();
    assert!(modules.iter().any(|module| module["debug_id"] == uuid), "{modules:?}");
}
