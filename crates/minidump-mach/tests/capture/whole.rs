//! Everything, of a task of which nothing fails.

use crate::fixture::*;
use minidump_mach::sim::{SimArch, SimTask, SimThread, SyntheticImage};
use minidump_mach::{CaptureOptions, CrashedThread, MachCrash, MachException, RawState};
use minidump_snapshot::cpu::{Amd64State, Arm64Vector};
use minidump_snapshot::{
    Cpu, CpuState, FaultState, FileVersion, OperatingSystem, Protection, RegionKind, ThreadTimes,
};

#[test]
fn nothing_is_missing_of_a_task_that_nothing_is_wrong_with() {
    let task = task();
    let captured = captured(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_usable(&captured);
    assert!(captured.is_complete());
    assert_eq!(task.states_read_while_running(), 0);
}

#[test]
fn threads_have_ids_names_queues_times_and_priorities() {
    let task = task();
    task.set_thread_suspend_count(task.port(1), 2);
    let captured = captured(&task);
    let main = thread(&captured, MAIN_ID);
    assert_eq!(main.id, 0x1001, "the lower half of the id");
    assert_eq!(captured.snapshot.blamed_thread, Some(0x1001), "the oldest thread is the main thread");
    assert_eq!(main.times, Some(ThreadTimes { start_us: 0, user_us: 5000, kernel_us: 2000 }));
    assert_eq!((main.priority, main.state), (Some(31), Some('S')));
    let apple = main.apple.as_ref().unwrap();
    let fault = FaultState { address: 0x10, syndrome: 0x9200_0006, number: 0, cpu: 0 };
    assert_eq!((apple.suspend_count, apple.fault, &apple.dispatch_queue), (0, Some(fault), &None));
    let idle = thread(&captured, IDLE_ID);
    let apple = idle.apple.as_ref().unwrap();
    assert_eq!(apple.dispatch_queue.as_deref(), Some(&b"com.apple.root.default-qos"[..]));
    assert_eq!((apple.suspend_count, apple.handle), (2, IDLE_STACK.0 + IDLE_STACK.1 - 0xe0));
    assert_eq!(idle.thread_pointer, Some(apple.handle));
    assert_eq!(task.thread_suspend_count(task.port(1)), Some(2));
}

#[test]
fn vector_registers_are_read() {
    let vector = Arm64Vector { v: std::array::from_fn(|index| [index as u8; 16]), fpsr: 0x10, fpcr: 0x20 };
    let mut cpu = main_cpu();
    cpu.vector = Some(Box::new(vector));
    let task = without_threads().thread(SimThread::new(1).with_cpu(&arm(cpu))).build().unwrap();
    let captured = captured(&task);
    let Some(CpuState::Arm64(state)) = &captured.snapshot.threads[0].cpu else { panic!() };
    assert_eq!(state.vector.as_deref(), Some(&vector));
}

#[test]
fn images_have_identity_version_slide_and_segments() {
    let task = task();
    let captured = captured(&task);
    let lib = module(&captured, LIB);
    assert_eq!(lib.version, Some(FileVersion { major: 0x102, minor: 3, patch: 4, build: 0 }));
    assert_eq!((lib.size, lib.soname.as_deref()), (0x4000, Some(LIB_PATH)));
    let bundle = module(&captured, BUNDLE);
    assert!(!bundle.is_main && bundle.version.is_none());
    let facts = captured.snapshot.apple.as_ref().unwrap();
    let c_lib = facts.image_at(C_LIB).unwrap();
    assert_eq!((c_lib.slide, c_lib.file_type), (CACHE.slide, 6));
    let segments: Vec<_> = c_lib.segments.iter().map(|segment| (segment.address, segment.size)).collect();
    assert_eq!(segments, [(C_LIB, 0x4000), (C_DATA, 0x4000)], "where they lie, not where they are linked");
    assert_eq!(c_lib.segments[1].protection, Protection::READ | Protection::WRITE);
    assert_eq!(&c_lib.segments[1].name[..13], b"__DATA_DIRTY\0");
    let exe = facts.image_at(EXE).unwrap();
    assert_eq!((exe.file_type, exe.slide), (2, 0));
    assert!(exe.segments.iter().all(|segment| !segment.name.starts_with(b"__PAGEZERO")));
    // Two commands of segments with no sections, LC_UUID, LC_BUILD_VERSION; `__PAGEZERO` has one, too.
    assert_eq!(exe.header_size, 32 + 3 * 72 + 24 + 24);
}

#[test]
fn images_with_frames_on_a_stack_are_marked() {
    let task = task();
    let captured = captured(&task);
    let images = &captured.snapshot.apple.as_ref().unwrap().images;
    let executing: Vec<u64> = images.iter().filter(|image| image.executing).map(|image| image.base).collect();
    assert_eq!(executing, [EXE, LIB, KERNEL_LIB, C_LIB]);
}

#[test]
fn facts_of_apple_are_complete() {
    let task = builder().dyld_error("Library not loaded: @rpath/libtwo.dylib").build().unwrap();
    let options = CaptureOptions { bundle_version: Some("4711".into()), ..CaptureOptions::default() };
    let captured = captured_with(&task, &options, None);
    let facts = captured.snapshot.apple.as_ref().unwrap();
    assert_eq!((facts.cpu_type, facts.cpu_subtype), (0x0100_000c, 0));
    assert_eq!((facts.os_build.as_str(), facts.address_bits), ("23F79", Some(47)));
    assert_eq!((facts.dyld_all_image_infos, facts.dyld_version), (Some(task.all_image_infos()), Some(18)));
    assert_eq!(facts.dyld_error.as_deref(), Some(&b"Library not loaded: @rpath/libtwo.dylib"[..]));
    assert_eq!(facts.shared_cache, Some(CACHE));
    assert_eq!(facts.boot_args.as_deref(), Some("debug=0x14e"));
    assert_eq!(facts.bundle_version.as_deref(), Some("4711"));
}

#[test]
fn what_libraries_left_for_crash_reports_is_kept() {
    let task = task();
    let captured = captured(&task);
    let [info] = captured.snapshot.apple.as_ref().unwrap().crash_info.as_slice() else { panic!() };
    assert_eq!((info.version, info.thread, info.dialog_mode, info.abort_cause), (5, 7, 8, Some(9)));
    assert_eq!((info.message.as_slice(), info.message2.as_slice()), (&b"abort() called"[..], &b""[..]));
    assert_eq!(info.module_path, C_PATH.as_bytes());
}

#[test]
fn the_system_and_the_process_are_described() {
    let task = task();
    let captured = captured(&task);
    let snapshot = &captured.snapshot;
    assert_eq!((snapshot.system.os, snapshot.system.version), (OperatingSystem::MacOs, (14, 5, 1)));
    assert_eq!((snapshot.system.cpu_count, snapshot.system.page_size), (8, 0x4000));
    assert!(snapshot.system.description.starts_with("Darwin 23.5.0 Darwin Kernel Version"));
    assert!(snapshot.system.description.ends_with(" arm64"));
    let process = &snapshot.process;
    assert_eq!((process.pid, process.parent_pid, process.uid), (4242, Some(1), Some(501)));
    assert_eq!(process.executable.as_deref(), Some(EXE_PATH.as_bytes()));
    assert_eq!(process.start_time_us, Some(1_700_000_000_000_000));
    assert_eq!(process.user_time_us, Some(3_000_250 + 5000), "of threads that ended, and of those that live");
    assert_eq!(process.kernel_time_us, Some(1_000_000 + 2000));
}

#[test]
fn regions_tell_kind_protection_and_owner() {
    let task =
        builder().region(0x3_0000_0000, 0x4000, minidump_mach::sim::SimRegion::data(21)).build().unwrap();
    let captured = captured(&task);
    let region = |address: u64| captured.snapshot.region_at(address).unwrap();
    assert_eq!(
        (region(MAIN_STACK.0).kind, region(MAIN_STACK.0).name.as_slice()),
        (RegionKind::Stack, &b"Stack"[..])
    );
    assert!(region(MAIN_STACK.0 - 1).protection.is_empty(), "the guard page");
    assert_eq!((region(EXE).kind, region(EXE).name.as_slice()), (RegionKind::File, EXE_PATH.as_bytes()));
    assert_eq!(region(EXE).protection, Protection::READ | Protection::EXECUTE);
    assert_eq!(region(KERNEL_LIB).name, b"Shared pmap", "found inside of a submap");
    assert_eq!(region(0x3_0000_0000).kind, RegionKind::Device);
}

#[test]
fn an_x86_64_task_is_captured_in_its_own_flavors() {
    let stack = (0x7ff7_b000_0000, 0x8_0000);
    let rsp = stack.0 + stack.1 - 0x100;
    let mut xsave = vec![0; 512];
    xsave[..2].copy_from_slice(&[0x7f, 0x03]);
    let cpu = Amd64State {
        rax: 1,
        rbx: 2,
        rcx: 3,
        rdx: 4,
        rdi: 5,
        rsi: 6,
        rbp: rsp + 0x20,
        rsp,
        r8: 8,
        r15: 15,
        rip: EXE + 0x2010,
        rflags: 0x246,
        cs: 0x2b,
        gs: 7,
        orig_rax: u64::MAX,
        xsave,
        ..Amd64State::default()
    };
    let fault = FaultState { address: 0xbad, syndrome: 6, number: 14, cpu: 3 };
    let task = SimTask::builder(SimArch::Amd64)
        .image(&exe(), EXE)
        .stack(stack.0, stack.1)
        .thread(SimThread::new(0x77).with_cpu(&amd(cpu.clone())).with_fault(fault))
        .build()
        .unwrap();
    let captured = captured(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    let thread = &captured.snapshot.threads[0];
    assert_eq!(thread.cpu, Some(amd(cpu)));
    assert_eq!(thread.apple.as_ref().unwrap().fault, Some(fault));
    let Cpu::Amd64 { vendor, version_information, .. } = &captured.snapshot.system.cpu else { panic!() };
    assert_eq!((vendor, *version_information), (b"GenuineIntel", 0x0009_06ea));
    assert_eq!(captured.snapshot.apple.as_ref().unwrap().cpu_type, 0x0100_0007);
    assert_eq!(captured.snapshot.system.cpu_max_mhz, Some(2600));
}

#[test]
fn a_translated_program_has_the_architecture_of_its_executable() {
    // The machine says that it is an arm64 one.
    let task = SimTask::builder(SimArch::Amd64)
        .sysctl("hw.cputype", 0x0100_000c_u32.to_le_bytes())
        .sysctl("hw.machine", "arm64\0")
        .image(&exe(), EXE)
        .thread(SimThread::new(1).with_cpu(&amd(Amd64State {
            rip: 0x1234,
            orig_rax: u64::MAX,
            ..Amd64State::default()
        })))
        .build()
        .unwrap();
    let captured = captured(&task);
    assert!(matches!(captured.snapshot.system.cpu, Cpu::Amd64 { .. }));
    assert_eq!(captured.snapshot.threads[0].instruction_pointer(), Some(0x1234));
}

#[test]
fn an_arm64e_program_keeps_its_subtype_and_its_signatures() {
    let signed = |address: u64| address | 0x007c << 48;
    let mut cpu = main_cpu();
    cpu.lr = signed(cpu.lr);
    let task = SimTask::builder(SimArch::Arm64e)
        .image(&exe(), EXE)
        .image(&lib(), LIB)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .frames(cpu.fp, 0x40, &MAIN_CALLERS.map(signed))
        .thread(SimThread::new(1).with_cpu(&arm(cpu.clone())))
        .build()
        .unwrap();
    let captured = captured(&task);
    let facts = captured.snapshot.apple.as_ref().unwrap();
    assert_eq!((facts.cpu_subtype, facts.address_bits), (0x8000_0002, Some(47)));
    assert_registers(&captured.snapshot.threads[0], &cpu);
    assert_stack(&captured, cpu.fp, 0x40, &MAIN_CALLERS.map(signed));
    let executing: Vec<u64> =
        facts.images.iter().filter(|image| image.executing).map(|image| image.base).collect();
    assert_eq!(executing, [EXE, LIB], "return addresses are found without their signatures");
}

#[test]
fn an_exception_names_the_thread_and_its_state_is_that_of_the_message() {
    let task = task();
    let mut cpu = idle_cpu();
    cpu.pc = MAIN_PC;
    let states = SimThread::new(1).with_cpu(&arm(cpu.clone())).states;
    let states = states.into_iter().filter(|(flavor, _)| *flavor == 6);
    let crash = MachCrash {
        thread: CrashedThread::Id(IDLE_ID),
        exception: Some(MachException { kind: 10, codes: [0x0b10_0001, 0xdead] }),
        states: states.map(|(flavor, words)| RawState { flavor, words }).collect(),
    };
    let captured = captured_with(&task, &CaptureOptions::default(), Some(&crash));
    let snapshot = &captured.snapshot;
    assert_eq!(snapshot.soft_errors, []);
    assert_eq!((snapshot.blamed_thread, snapshot.threads[0].id), (Some(0x1002), 0x1002));
    assert_registers(&snapshot.threads[0], &cpu);
    let exception = snapshot.exception.as_ref().unwrap();
    assert_eq!(
        (exception.thread, exception.code, exception.flags, exception.address),
        (0x1002, 1, 1, 0xdead)
    );
    assert_eq!(exception.parameters, [10, 0x0b10_0001, 0xdead]);
    assert_registers(thread(&captured, MAIN_ID), &main_cpu());
}

#[test]
fn a_crash_may_name_its_thread_by_port() {
    let task = task();
    let crash = MachCrash {
        thread: CrashedThread::Port(task.port(1)),
        exception: Some(MachException { kind: 10, codes: [0x0600_0000, 0] }),
        states: Vec::new(),
    };
    let captured = captured_with(&task, &CaptureOptions::default(), Some(&crash));
    let exception = captured.snapshot.exception.as_ref().unwrap();
    assert_eq!((exception.thread, exception.code, exception.flags), (0x1002, 5, 0x1_0002), "abort()");
    assert_eq!(exception.address, IDLE_PC);
    let by_half = MachCrash { thread: CrashedThread::Id(IDLE_ID & 0xffff_ffff), ..crash };
    let again = captured_with(&task, &CaptureOptions::default(), Some(&by_half));
    assert_eq!(again.snapshot.exception, captured.snapshot.exception);
    assert_eq!(again.snapshot.threads, captured.snapshot.threads);
}

#[test]
fn the_thread_that_handles_the_crash_is_left_out() {
    let task = builder().thread(SimThread::new(9).named("handler")).build().unwrap();
    let options = CaptureOptions { handler_thread: Some(task.port(2)), ..CaptureOptions::default() };
    let captured = captured_with(&task, &options, None);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_usable(&captured);
}

#[test]
fn a_thread_that_handles_its_own_crash_is_not_left_out() {
    let task = task();
    let options = CaptureOptions { handler_thread: Some(task.port(1)), ..CaptureOptions::default() };
    let crash = MachCrash { thread: CrashedThread::Port(task.port(1)), exception: None, states: Vec::new() };
    let captured = captured_with(&task, &options, Some(&crash));
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_eq!((captured.snapshot.blamed_thread, &captured.snapshot.exception), (Some(0x1002), &None));
    assert_usable(&captured);
}

#[test]
fn the_caller_may_point_at_a_thread() {
    let task = task();
    let options = CaptureOptions { blamed_thread: Some(IDLE_ID), ..CaptureOptions::default() };
    assert_eq!(captured_with(&task, &options, None).snapshot.blamed_thread, Some(0x1002));
    let options = CaptureOptions { blamed_thread: Some(0x1002), ..CaptureOptions::default() };
    let by_half = captured_with(&task, &options, None);
    assert_eq!(by_half.snapshot.blamed_thread, Some(0x1002), "by the lower half of its id");
    assert_eq!(by_half.snapshot.soft_errors, []);
    let options = CaptureOptions { blamed_thread: Some(99), ..options };
    let captured = captured_with(&task, &options, None);
    assert_eq!(captured.snapshot.blamed_thread, Some(0x1001));
    assert_error(&captured, minidump_snapshot::Stage::Target, "no thread 99");
}

#[test]
fn a_program_for_ios_is_one() {
    let exe = SyntheticImage::executable("/private/var/App").platform(Some(2));
    let task = SimTask::builder(SimArch::Arm64).image(&exe, EXE).thread(main_thread()).build().unwrap();
    assert_eq!(captured(&task).snapshot.system.os, OperatingSystem::Ios);
}
