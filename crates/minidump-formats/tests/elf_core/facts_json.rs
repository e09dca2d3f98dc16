//! The note with the facts, byte for byte: what `serde_json` makes of the same facts.

use crate::build::{empty, encode_from, registers, system, thread};
use minidump_formats::elf_core::FACTS_NOTE;
use minidump_snapshot::{
    Cpu, DsoDebug, Exception, FileVersion, LinkMap, LinuxFacts, MemoryPlan, Module, ModuleId,
    OperatingSystem, PlannedRange, Process, Purpose, Snapshot, System, Thread, ThreadTimes, XsaveComponent,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

fn expected(snapshot: &Snapshot, full_memory: bool) -> Value {
    json!({
        "version": 1,
        "captured_at_us": snapshot.captured_at_us,
        "blamed_thread": snapshot.blamed_thread,
        "process": process(&snapshot.process),
        "system": serde_json::to_value(&snapshot.system).unwrap(),
        "exception": serde_json::to_value(&snapshot.exception).unwrap(),
        "threads": snapshot.threads.iter().map(thread_facts).collect::<Vec<_>>(),
        "modules": snapshot.modules.iter().map(module).collect::<Vec<_>>(),
        "annotations": snapshot.annotations,
        "full_memory": full_memory,
        "dso_debug": serde_json::to_value(&snapshot.linux.as_ref().unwrap().dso_debug).unwrap(),
    })
}

fn lossy(text: Option<&Vec<u8>>) -> Option<String> {
    text.map(|text| String::from_utf8_lossy(text).into_owned())
}

fn process(process: &Process) -> Value {
    json!({
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "uid": process.uid,
        "executable": lossy(process.executable.as_ref()),
        "start_us": process.start_time_us,
        "user_us": process.user_time_us,
        "kernel_us": process.kernel_time_us,
    })
}

fn thread_facts(thread: &Thread) -> Value {
    json!({
        "id": thread.id,
        "name": lossy(thread.name.as_ref()),
        "registers": thread.cpu.is_some(),
        "state": thread.state,
        "priority": thread.priority,
        "affinity": thread.affinity,
        "start_us": thread.times.map(|times| times.start_us),
        "user_us": thread.times.map(|times| times.user_us),
        "kernel_us": thread.times.map(|times| times.kernel_us),
        "thread_pointer": thread.thread_pointer,
    })
}

fn module(module: &Module) -> Value {
    let hexadecimal = |id: &[u8]| id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let (build_id, other) = match &module.id {
        Some(ModuleId::BuildId(id)) => (Some(hexadecimal(id)), None),
        other => (None, other.as_ref().map(|id| hexadecimal(id.as_bytes()))),
    };
    json!({
        "base": module.base,
        "size": module.size,
        "path": String::from_utf8_lossy(&module.path),
        "soname": module.soname,
        "version": module.version.map(|version| [version.major, version.minor, version.patch, version.build]),
        "build_id": build_id,
        "text_hash": other,
        "is_main": module.is_main,
        "deleted": module.deleted,
    })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn any_thread() -> impl Strategy<Value = Thread> {
    let times = any::<(u64, u64, u64)>();
    let times = times.prop_map(|(start_us, user_us, kernel_us)| ThreadTimes { start_us, user_us, kernel_us });
    let numbers = any::<(bool, Option<i32>, Option<u64>, Option<u64>)>();
    (option::of(bytes()), option::of(any::<char>()), option::of(times), numbers).prop_map(
        |(name, state, times, (has_cpu, priority, affinity, thread_pointer))| {
            let bare = if has_cpu { thread(1, registers(1)) } else { Thread::new(1) };
            Thread { name, state, priority, affinity, times, thread_pointer, ..bare }
        },
    )
}

fn any_module() -> impl Strategy<Value = Module> {
    let id = prop_oneof![
        bytes().prop_map(ModuleId::BuildId),
        any::<[u8; 16]>().prop_map(ModuleId::TextHash),
        any::<[u8; 16]>().prop_map(ModuleId::Uuid),
    ];
    let version =
        any::<[u32; 4]>().prop_map(|[major, minor, patch, build]| FileVersion { major, minor, patch, build });
    let names = (bytes(), any::<Option<String>>(), option::of(version), option::of(id));
    (names, any::<(u64, u64, bool, bool)>()).prop_map(
        |((path, soname, version, id), (base, size, is_main, deleted))| Module {
            base,
            size,
            path,
            soname,
            version,
            id,
            is_main,
            deleted,
        },
    )
}

fn any_cpu() -> impl Strategy<Value = Cpu> {
    let component = any::<(u8, u32, u32)>();
    let component = component.prop_map(|(index, offset, size)| XsaveComponent { index, offset, size });
    let facts = (any::<(bool, [u8; 12], [u32; 3])>(), vec(component, 0..3));
    let intel = facts.prop_map(|((wide, vendor, numbers), xsave)| {
        let [version_information, feature_information, extended_features] = numbers;
        if wide {
            Cpu::Amd64 { vendor, version_information, feature_information, extended_features, xsave }
        } else {
            Cpu::X86 { vendor, version_information, feature_information, extended_features, xsave }
        }
    });
    prop_oneof![intel, Just(Cpu::Arm64)]
}

fn any_system() -> impl Strategy<Value = System> {
    let os = prop_oneof![Just(OperatingSystem::Linux), Just(OperatingSystem::Android)];
    let rest = any::<(u32, u32, u32, u32, Option<u32>)>();
    (os, any_cpu(), any::<[String; 2]>(), rest).prop_map(
        |(os, cpu, [description, build], (major, minor, patch, cpu_count, cpu_max_mhz))| {
            let version = (major, minor, patch);
            System { os, version, description, cpu, cpu_count, cpu_max_mhz, build, ..system() }
        },
    )
}

fn any_dso_debug() -> impl Strategy<Value = DsoDebug> {
    let link_map = (any::<[u64; 4]>(), bytes()).prop_map(|([address, base, name_address, dynamic], name)| {
        LinkMap { address, base, name_address, name, dynamic }
    });
    (any::<([u64; 5], u32)>(), bytes(), vec(link_map, 0..3)).prop_map(
        |(([address, map, brk, ldbase, dynamic], version), dynamic_contents, link_maps)| DsoDebug {
            address,
            version,
            map,
            brk,
            ldbase,
            dynamic,
            dynamic_contents,
            link_maps,
        },
    )
}

fn any_process() -> impl Strategy<Value = Process> {
    let numbers = any::<(Option<u32>, Option<u32>, Option<u64>, Option<u64>, Option<u64>)>();
    (any::<u32>(), option::of(bytes()), numbers).prop_map(|(pid, executable, numbers)| {
        let (parent_pid, uid, start_time_us, user_time_us, kernel_time_us) = numbers;
        Process { pid, parent_pid, uid, executable, start_time_us, user_time_us, kernel_time_us }
    })
}

fn any_exception() -> impl Strategy<Value = Exception> {
    (any::<(u32, u32, u32, u64)>(), vec(any::<u64>(), 0..4)).prop_map(
        |((thread, code, flags, address), parameters)| Exception { thread, code, flags, address, parameters },
    )
}

fn any_snapshot() -> impl Strategy<Value = Snapshot> {
    let lists = (vec(any_thread(), 0..4), vec(any_module(), 0..4), any::<Vec<(String, String)>>());
    let parts = (any_process(), any_system(), option::of(any_exception()), option::of(any_dso_debug()));
    (lists, parts, any::<(u64, Option<u32>)>()).prop_map(
        |((threads, modules, annotations), (process, system, exception, dso_debug), rest)| {
            let mut snapshot = Snapshot { process, system, exception, threads, ..empty() };
            (snapshot.modules, snapshot.annotations) = (modules, annotations);
            snapshot.linux = Some(LinuxFacts { dso_debug, ..LinuxFacts::default() });
            (snapshot.captured_at_us, snapshot.blamed_thread) = rest;
            snapshot
        },
    )
}

proptest! {
    #[test]
    fn the_facts_are_what_serde_json_makes_of_them(snapshot in any_snapshot(), full in any::<bool>()) {
        let purpose = if full { Purpose::Full } else { Purpose::Stack };
        let plan = MemoryPlan::from_ranges(vec![PlannedRange { start: 0x1000, size: 16, purpose }], vec![]);
        let found = encode_from(&snapshot, &plan).only(FACTS_NOTE);
        prop_assert_eq!(String::from_utf8(found).unwrap(), expected(&snapshot, full).to_string());
    }
}
