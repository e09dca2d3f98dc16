//! Modules, threads, annotations, texts and soft errors.

use super::child::{SLEEP_MARK, SLEEPER};
use super::dump::{crash, crash_over, holds};
use minidump::{
    MinidumpCrashpadInfo, MinidumpLinuxMaps, MinidumpMiscInfo, MinidumpRawContext, MinidumpThreadNames,
    Module,
};
use object::{Object, ObjectSection};
use std::collections::BTreeMap;

fn annotations(read: &super::dump::Read) -> BTreeMap<String, String> {
    read.file.get_stream::<MinidumpCrashpadInfo>().unwrap().simple_annotations
}

#[test]
fn modules_have_the_build_ids_of_their_files() {
    let dump = crash("null");
    let read = dump.read();
    let modules = read.modules();
    let program = modules.main_module().unwrap();
    assert_eq!(program.code_file(), std::env::current_exe().unwrap().to_str().unwrap());
    let mut checked = 0;
    for module in modules.iter() {
        let Ok(bytes) = std::fs::read(&*module.code_file()) else {
            assert_eq!(module.code_file(), "linux-gate.so");
            continue;
        };
        let file = object::File::parse(bytes.as_slice()).unwrap();
        let Some(expected) = file.build_id().unwrap() else { continue };
        let id = module.code_identifier().unwrap();
        let id: Vec<u8> = (0..id.as_str().len() / 2)
            .map(|at| u8::from_str_radix(&id.as_str()[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        assert_eq!(id, expected, "{}", module.code_file());
        checked += 1;
    }
    assert!(checked >= 2, "the program and the C library at least");
    let mut ends: Vec<_> = modules.iter().map(|module| (module.base_address(), module.size())).collect();
    ends.sort_unstable();
    assert!(ends.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "no overlap: {ends:x?}");
}

#[test]
fn a_broken_header_costs_the_id_of_that_module_alone() {
    let dump = crash("library");
    let read = dump.read();
    let modules = read.modules();
    let base: u64 = annotations(&read)["library"].parse().unwrap();
    let broken = modules.iter().find(|module| module.base_address() == base).unwrap();
    assert_eq!(broken.code_identifier(), None);
    assert!(broken.size() > 1 << 20, "its mappings tell its size: {:#x}", broken.size());
    let program = modules.main_module().unwrap();
    assert!(program.code_identifier().is_some());
    let whole = crash("null");
    assert_eq!(modules.iter().count(), whole.read().modules().iter().count());
}

#[test]
fn a_thread_that_waits_is_there_with_its_name_its_stack_and_two_registers() {
    let dump = crash("sleeper");
    let read = dump.read();
    let sleeper: u32 = annotations(&read)["sleeper"].parse().unwrap();
    let threads = read.threads();
    let thread = threads.threads.iter().find(|thread| thread.raw.thread_id == sleeper).unwrap();
    let names: MinidumpThreadNames = read.file.get_stream().unwrap();
    assert_eq!(names.get_name(sleeper).as_deref(), Some(SLEEPER));
    let misc: MinidumpMiscInfo = read.file.get_stream().unwrap();
    let context = thread.context(&read.system, Some(&misc)).unwrap();
    let MinidumpRawContext::Amd64(raw) = &context.raw else { panic!("no x86-64") };
    assert_eq!(raw.context_flags, 0x0010_0001);
    let modules = read.modules();
    assert!(modules.module_at_address(raw.rip).unwrap().code_file().contains("libc"));
    let start = thread.raw.stack.start_of_memory_range;
    let (_, stack) = read.ranges().into_iter().find(|(address, _)| *address == start).unwrap();
    assert_eq!(start, raw.rsp - 128);
    assert!(holds(&stack, SLEEP_MARK));
    let told = read.messages().iter().any(|message| message.contains("the other threads were not stopped"));
    assert!(told, "{:?}", read.messages());
}

#[test]
fn annotations_are_as_they_were_set() {
    let dump = crash("heap");
    let found = annotations(&dump.read());
    let expected = [("product", "crash test \u{1f980}"), ("empty", "")];
    assert_eq!(found, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[test]
fn texts_of_proc_are_there_and_the_environment_is_not() {
    let dump = crash("null");
    let read = dump.read();
    let maps: MinidumpLinuxMaps<'_> = read.file.get_stream().unwrap();
    assert!(maps.iter().any(|map| map.map.address.0 <= read.ip() && read.ip() < map.map.address.1));
    let raw = |stream: u32| read.file.get_raw_stream(stream).map(<[u8]>::to_vec);
    assert!(
        raw(0x4767_0006).unwrap().starts_with(std::env::current_exe().unwrap().to_str().unwrap().as_bytes())
    );
    assert!(raw(0x4767_0004).unwrap().starts_with(b"Name:"));
    assert_eq!(raw(0x4767_0008).unwrap().len() % 16, 0);
    assert!(raw(0x4767_0007).is_err(), "LinuxEnviron");
}

#[test]
fn the_dump_says_what_it_is() {
    let dump = crash("null");
    let read = dump.read();
    let errors = read.soft_errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(errors[0]["stage"], "target");
    assert!(errors[0]["message"].as_str().unwrap().starts_with("last-resort dump"));
    let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(time - u64::from(read.file.header.time_date_stamp) < 3600);
}

#[test]
fn the_system_is_described() {
    let dump = crash("null");
    let read = dump.read();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let text = read.system.csd_version().unwrap().into_owned();
    assert!(text.starts_with(&format!("Linux {} ", release.trim_end())), "{text}");
    assert!(text.ends_with(" x86_64"));
    assert!(read.system.raw.number_of_processors >= 1);
    let major: u32 = release.split('.').next().unwrap().parse().unwrap();
    assert_eq!(read.system.raw.major_version, major);
}

#[test]
fn floating_point_registers_and_code_are_there() {
    let dump = crash("null");
    let read = dump.read();
    assert_eq!(read.register(|raw| raw.context_flags.into()), 0x0010_000f);
    assert_eq!(read.register(|raw| raw.mx_csr.into()) & 0x1f80, 0x1f80, "all exceptions are masked");
    assert_eq!(read.register(|raw| raw.cs.into()), 0x33);
    let ip = read.ip();
    let ranges = read.ranges();
    let (start, code) =
        ranges.iter().find(|(start, bytes)| (*start..start + bytes.len() as u64).contains(&ip)).unwrap();
    assert_eq!(code.len(), 256);
    let modules = read.modules();
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let object = object::File::parse(file.as_slice()).unwrap();
    let address = start - modules.main_module().unwrap().base_address();
    let holds = |section: &object::Section<'_, '_>| {
        (section.address()..section.address() + section.size()).contains(&address)
    };
    let section = object.sections().find(holds).unwrap();
    let expected = section.data_range(address, 256).unwrap().unwrap();
    assert_eq!(code, expected);
}

#[test]
fn what_the_file_held_before_is_gone() {
    let dump = crash_over("null", &vec![0xee; 4 << 20]);
    assert_eq!(dump.exit, Some(0));
    assert!(dump.bytes.len() < 4 << 20);
    assert_eq!(dump.read().exception.get_crashing_thread_id(), dump.pid);
}
