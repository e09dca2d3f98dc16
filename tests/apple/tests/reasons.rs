//! M4 to M9: exceptions, texts, identities, versions and names of macOS minidumps, as minidump-stackwalk tells them.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use apple_tests::scene::{FIRST_ID, Role, Scene};
use apple_tests::wheels::{BUNDLE, NINJA, SODIUM, ZMQ, image};
use apple_tests::{Arch, dumps, programs, stackwalk, tools};
use minidump_formats::minidump::Arm64Context;
use minidump_mach::MachException;
use minidump_mach::sim::{SimArch, SimTask, SimThread, SyntheticImage};
use minidump_snapshot::CpuState;
use minidump_snapshot::cpu::Arm64State;
use serde_json::Value;

/// An exception as the kernel raises it, what it is called, and the address that it is about; none for that of the instruction.
struct Case(Arch, u32, [u64; 2], &'static str, Option<u64>);

const BAD_INSTRUCTION: u32 = 2;
const ARITHMETIC: u32 = 3;
const BREAKPOINT: u32 = 6;

const CASES: [Case; 13] = [
    Case(Arch::Arm64, dumps::BAD_ACCESS, [1, 0x10], "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS", Some(0x10)),
    Case(Arch::Arm64, dumps::BAD_ACCESS, [2, 0x18], "EXC_BAD_ACCESS / KERN_PROTECTION_FAILURE", Some(0x18)),
    // A general protection fault has no address: what the kernel tells in its place is none.
    Case(Arch::X86_64, dumps::BAD_ACCESS, [13, 0], "EXC_BAD_ACCESS / EXC_I386_GPFLT", None),
    Case(Arch::Arm64, BAD_INSTRUCTION, [1, 0], "EXC_BAD_INSTRUCTION / EXC_ARM_UNDEFINED", None),
    Case(Arch::X86_64, BAD_INSTRUCTION, [1, 0], "EXC_BAD_INSTRUCTION / EXC_I386_INVOP", None),
    Case(Arch::X86_64, ARITHMETIC, [1, 0], "EXC_ARITHMETIC / EXC_I386_DIV", None),
    Case(Arch::Arm64, BREAKPOINT, [1, 0], "EXC_BREAKPOINT / EXC_ARM_BREAKPOINT", None),
    // SIGSEGV around EXC_BAD_ACCESS.
    Case(Arch::Arm64, dumps::CRASH, [0x0b10_0001, 0x20], "EXC_BAD_ACCESS / KERN_INVALID_ADDRESS", Some(0x20)),
    // SIGTRAP around EXC_BREAKPOINT.
    Case(Arch::Arm64, dumps::CRASH, [0x0560_0001, 0], "EXC_BREAKPOINT / EXC_ARM_BREAKPOINT", None),
    // abort(): SIGABRT around nothing.
    Case(Arch::Arm64, dumps::CRASH, [0x0600_0000, 0], "EXC_SOFTWARE / SIGABRT", None),
    Case(Arch::X86_64, dumps::CRASH, [0x0600_0000, 0], "EXC_SOFTWARE / SIGABRT", None),
    // A guarded port (type 1), destroyed (flavor 1), port 0x1903, guard 0x55.
    Case(
        Arch::Arm64,
        dumps::GUARD,
        [1 << 61 | 1 << 32 | 0x1903, 0x55],
        "EXC_GUARD / GUARD_TYPE_MACH_PORT / GUARD_EXC_DESTROY port name: 6403 subcode: 85",
        None,
    ),
    // Too much memory (type 3, flavor 1), 100 MB.
    Case(
        Arch::Arm64,
        dumps::RESOURCE,
        [3 << 61 | 1 << 58 | 0x64, 0],
        "EXC_RESOURCE / RESOURCE_TYPE_MEMORY / FLAVOR_HIGH_WATERMARK high watermark limit: 100MiB",
        None,
    ),
];

/// M4. All kinds of exceptions, in or out of their wrapper, are called by their names.
#[test]
fn exceptions_are_called_by_their_names() {
    let Some(tools) = tools::find("exceptions_are_called_by_their_names") else { return };
    let scenes = Arch::ALL
        .map(|arch| Scene::of(tools, programs::built(tools, arch), arch, &[Role::Wait, Role::Crash]));
    for Case(arch, kind, codes, called, address) in CASES {
        let scene = scenes.iter().find(|scene| scene.arch == arch).unwrap();
        let crash = dumps::crash_of(1, MachException { kind, codes });
        let dump = dumps::minidump_of(&scene.task(), Some(&crash), Arm64Context::Breakpad);
        let report = stackwalk::report(tools, &dump.path, None);
        let found = report["crash_info"]["type"].as_str().unwrap();
        assert_eq!(found, called, "{kind} {codes:x?}");
        let address = address.unwrap_or_else(|| scene.cpu(1).instruction_pointer());
        assert_eq!(report["crash_info"]["address"], format!("{address:#018x}"), "{kind} {codes:x?}");
        // It is the first in the file, wherever it was in the task.
        assert_eq!(report["crash_info"]["crashing_thread"], 0);
        assert_eq!(report["crashing_thread"]["thread_id"], (FIRST_ID + 1) & 0xffff_ffff);
    }
}

/// M5. What abort() left for crash reports, and the boot arguments.
#[test]
fn texts_for_crash_reports_and_boot_arguments_are_shown() {
    let Some(tools) = tools::find("texts_for_crash_reports_and_boot_arguments_are_shown") else { return };
    for arch in Arch::ALL {
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &[Role::Abort, Role::Wait]);
        let dump = dumps::minidump(&scene, Some(0), Arm64Context::Breakpad);
        let report = stackwalk::report(tools, &dump.path, None);
        assert_eq!(report["crash_info"]["type"], "EXC_SOFTWARE / SIGABRT");
        let records = &report["mac_crash_info"]["records"];
        assert_eq!(report["mac_crash_info"]["num_records"], 1);
        assert_eq!(records[0]["module"], "/usr/lib/system/libsystem_c.dylib");
        assert_eq!(records[0]["message"], "abort() called");
        assert_eq!(records[0]["abort_cause"], "0x0000000000000007");
        assert_eq!(report["mac_boot_args"], "debug=0x14e");
    }
}

/// M6, M7. The debug id of each module is what dump_syms says of its file, and libraries have the versions of their files.
#[test]
fn debug_ids_are_those_of_dump_syms_and_versions_those_of_the_files() {
    let Some(tools) = tools::find("debug_ids_are_those_of_dump_syms_and_versions_those_of_the_files") else {
        return;
    };
    for arch in Arch::ALL {
        let scene = Scene::of(tools, programs::built(tools, arch), arch, &[Role::Crash, Role::Plugged]);
        let dump = dumps::minidump(&scene, Some(0), Arm64Context::Breakpad);
        let report = stackwalk::report(tools, &dump.path, None);
        for image in &scene.images {
            let module = module(&report, image.name());
            let (id, name) = stackwalk::module_line(tools, arch, &image.file);
            assert_eq!(module["debug_id"], id, "{arch:?} {name}");
            assert_eq!(module["debug_file"], name, "{arch:?} {name}");
            assert_eq!(module["base_addr"], format!("{:#018x}", image.base), "{arch:?} {name}");
        }
        assert_eq!(module(&report, "libcrash.dylib")["version"], "0.1.2.3");
        assert_eq!(module(&report, "crasher")["version"], Value::Null);
        assert_eq!(report["main_module"], 0);
        assert_eq!(report["modules"][0]["filename"], "crasher");
    }
}

/// M6. The same of files for both processors that others built on Macs.
#[test]
fn debug_ids_of_universal_files_are_those_of_dump_syms() {
    let Some(tools) = tools::find("debug_ids_of_universal_files_are_those_of_dump_syms") else { return };
    for (arch, sim) in [(Arch::Arm64, SimArch::Arm64), (Arch::X86_64, SimArch::Amd64)] {
        let files = [BUNDLE, ZMQ, SODIUM, NINJA];
        let images = (1_u64..)
            .zip(files)
            .map(|(index, file)| image(tools, file, arch, 0x3_0000_0000 + 0x1000_0000 * index));
        let images: Vec<_> = images.collect();
        let mut builder = SimTask::builder(sim).stack(0x9_0000_0000, 0x4000);
        for image in &images {
            builder = builder.module_bytes(&image.bytes, &image.path, image.base);
        }
        let task = builder.thread(SimThread::new(FIRST_ID)).build().unwrap();
        let dump = dumps::minidump_of(&task, None, Arm64Context::Breakpad);
        let report = stackwalk::report(tools, &dump.path, None);
        for image in &images {
            let (id, name) = stackwalk::module_line(tools, arch, &image.file);
            assert_eq!(module(&report, image.name())["debug_id"], id, "{arch:?} {name}");
        }
        assert_eq!(report["modules"][0]["filename"], "ninja", "a bundle is not taken for the executable");
    }
}

/// M8. Names of threads and modules beyond the Basic Multilingual Plane arrive unharmed.
#[test]
fn names_of_all_planes_arrive() {
    let Some(tools) = tools::find("names_of_all_planes_arrive") else { return };
    let library = SyntheticImage::library("/Applications/Ключ 🔑.app/lib🗝.dylib").uuid([7; 16]);
    let program = SyntheticImage::executable("/Applications/Ключ 🔑.app/𝒦ey").uuid([8; 16]);
    let cpu = Arm64State { pc: 0x2_0000_2000, sp: 0x1_7000_3f00, ..Arm64State::default() };
    let thread = SimThread::new(FIRST_ID).named("поток 🧵").with_cpu(&CpuState::Arm64(Box::new(cpu)));
    let builder =
        SimTask::builder(SimArch::Arm64).image(&library, 0x1_8000_0000).image(&program, 0x1_0000_0000);
    let task = builder.stack(0x1_7000_0000, 0x4000).thread(thread).build().unwrap();
    let dump = dumps::minidump_of(&task, None, Arm64Context::Breakpad);
    let report = stackwalk::report(tools, &dump.path, None);
    assert_eq!(report["threads"][0]["thread_name"], "поток 🧵");
    assert_eq!(report["modules"][0]["filename"], "𝒦ey");
    assert_eq!(report["modules"][0]["debug_file"], "𝒦ey");
    assert_eq!(module(&report, "lib🗝.dylib")["debug_id"], "07".repeat(16) + "0");
}

fn module<'a>(report: &'a Value, name: &str) -> &'a Value {
    let modules = report["modules"].as_array().into_iter().flatten();
    modules.into_iter().find(|module| module["filename"] == name).unwrap_or(&Value::Null)
}
