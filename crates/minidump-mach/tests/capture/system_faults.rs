//! What the system does not tell.

use crate::fixture::*;
use minidump_mach::KernReturn;
use minidump_mach::sim::{Call, Effect, SimArch, SimTask, SimThread, When};
use minidump_snapshot::{Cpu, Stage};

#[test]
fn a_system_that_tells_nothing_of_itself_costs_nothing_else() {
    let task = task();
    task.inject(Call::Sysctl, When::Always, Effect::Fail(KernReturn(2)));
    let captured = captured(&task);
    assert_usable(&captured);
    let system = &captured.snapshot.system;
    assert_eq!((system.version, system.cpu_count, system.page_size), ((0, 0, 0), 0, 0x4000));
    assert_eq!(system.cpu, Cpu::Arm64, "the executable tells");
    assert_eq!(captured.snapshot.apple.as_ref().unwrap().address_bits, None);
    assert_error(&captured, Stage::System, "the system does not tell kern.osproductversion");
    assert_error(&captured, Stage::System, "machdep.virtual_address_size");
}

#[test]
fn every_fact_may_be_missing_alone() {
    let names =
        ["kern.osproductversion", "hw.ncpu", "hw.pagesize", "kern.version", "machdep.virtual_address_size"];
    for name in names {
        let task = builder().sysctl(name, []).build().unwrap();
        let captured = captured(&task);
        assert_usable(&captured);
        assert_eq!(only_error(&captured).message, format!("the system does not tell {name}"));
    }
}

#[test]
fn impossible_facts_are_not_believed() {
    let task = builder()
        .sysctl("hw.pagesize", 12_345_u64.to_le_bytes())
        .sysctl("machdep.virtual_address_size", 200_u32.to_le_bytes())
        .sysctl("hw.ncpu", [1, 2, 3])
        .build()
        .unwrap();
    let captured = captured(&task);
    assert_eq!(captured.snapshot.system.page_size, 0x4000);
    assert_eq!(captured.snapshot.apple.as_ref().unwrap().address_bits, None);
    assert_eq!(captured.snapshot.system.cpu_count, 0);
    assert_usable(&captured);
}

#[test]
fn a_process_that_the_kernel_says_nothing_of_is_captured() {
    let task = task();
    for call in [Call::Pid, Call::ProcessFacts] {
        task.inject(call, When::Always, Effect::Fail(KernReturn::FAILURE));
    }
    task.inject(Call::TaskInfo, When::Flavor(20), Effect::Fail(KernReturn::FAILURE));
    let captured = captured(&task);
    assert_usable(&captured);
    let process = &captured.snapshot.process;
    assert_eq!((process.pid, process.parent_pid, process.user_time_us), (0, None, None));
    assert_eq!(process.executable.as_deref(), Some(EXE_PATH.as_bytes()));
    assert_error(&captured, Stage::Target, "the kernel does not tell the id of the process");
    assert_error(&captured, Stage::Target, "the times of the process are unknown: KERN_FAILURE");
}

#[test]
fn without_any_image_the_machine_tells_the_architecture() {
    let cpu = minidump_snapshot::cpu::Amd64State { rip: 0x77, orig_rax: u64::MAX, ..Default::default() };
    for (name, by_type) in [("hw.cputype", true), ("hw.machine", false)] {
        let mut builder =
            SimTask::builder(SimArch::Amd64).thread(SimThread::new(1).with_cpu(&amd(cpu.clone())));
        if !by_type {
            builder = builder.sysctl("hw.cputype", []);
        }
        let task = builder.build().unwrap();
        task.protect(DYLD, DYLD + 0x20_0000, minidump_snapshot::Protection::empty());
        let captured = captured(&task);
        assert!(captured.snapshot.modules.iter().all(|module| module.id.is_none()));
        assert_eq!(captured.snapshot.threads[0].instruction_pointer(), Some(0x77), "by {name}");
    }
}
