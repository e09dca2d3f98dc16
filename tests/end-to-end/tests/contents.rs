//! Every stream says what the target and the machine say.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::extended::{word32, word64};
use end_to_end::{Dump, Target, dump, dump_with, elf, needs, proc_files, process, programs};
use minidump::format::MINIDUMP_STREAM_TYPE as Stream;
use minidump::system_info::{Cpu, Os};
use minidump::{
    MinidumpException, MinidumpHandleDataStream, MinidumpMemoryInfoList, MinidumpMiscInfo,
    MinidumpModuleList, MinidumpSystemInfo, MinidumpThreadInfoList, Module as _,
};
use std::arch::x86_64::__cpuid;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

/// What a dump that nobody crashed for has as its exception code (`MINIDUMP_EXCEPTION_DUMP_REQUESTED`).
const DUMP_REQUESTED: u32 = 0xffff_ffff;

#[test]
fn the_streams_are_all_there_once() {
    let target = Target::start(["threads", "2"]);
    let dump = dump(target.pid());
    let parsed = dump.parse();
    let mut kinds: Vec<u32> = parsed.all_streams().map(|entry| entry.stream_type).collect();
    kinds.sort_unstable();
    let unique: BTreeSet<u32> = kinds.iter().copied().collect();
    assert_eq!(kinds.len(), unique.len(), "no stream is there twice");
    let expected = [
        Stream::ThreadListStream,
        Stream::ModuleListStream,
        Stream::MemoryListStream,
        Stream::ExceptionStream,
        Stream::SystemInfoStream,
        Stream::HandleDataStream,
        Stream::MiscInfoStream,
        Stream::MemoryInfoListStream,
        Stream::ThreadInfoListStream,
        Stream::ThreadNamesStream,
        Stream::LinuxCpuInfo,
        Stream::LinuxProcStatus,
        Stream::LinuxLsbRelease,
        Stream::LinuxCmdLine,
        Stream::LinuxEnviron,
        Stream::LinuxAuxv,
        Stream::LinuxMaps,
        Stream::LinuxDsoDebug,
        Stream::MozLinuxLimits,
        Stream::MozSoftErrors,
    ];
    for stream in expected {
        assert!(unique.contains(&(stream as u32)), "{stream:?} is there");
    }
}

#[test]
fn a_healthy_process_gives_no_soft_errors() {
    let target = Target::start(["threads", "8"]);
    let dump = dump(target.pid());
    assert_eq!(dump.soft_errors(), Vec::<serde_json::Value>::new());
}

#[test]
fn threads_and_their_names_are_those_of_proc() {
    let target = Target::start(["threads", "16"]);
    let dump = dump(target.pid());
    let mut dumped = dump.thread_ids();
    dumped.sort_unstable();
    assert_eq!(dumped, proc_files::threads(target.pid()));
    for tid in dumped {
        let name = proc_files::read(target.pid(), &format!("task/{tid}/comm"));
        assert_eq!(dump.thread_name(tid).unwrap(), String::from_utf8(name).unwrap().trim_end());
    }
}

#[test]
fn nothing_crashed_and_the_main_thread_is_blamed() {
    let target = Target::start(["threads", "2"]);
    let dump = dump(target.pid());
    let parsed = dump.parse();
    let exception: MinidumpException = parsed.get_stream().unwrap();
    assert_eq!(exception.raw.exception_record.exception_code, DUMP_REQUESTED);
    assert_eq!(exception.get_crashing_thread_id(), u32::try_from(target.pid()).unwrap());
    assert_eq!(dump.thread_ids()[0], exception.get_crashing_thread_id(), "it comes first");
    let context = dump.context(exception.get_crashing_thread_id()).unwrap();
    let system: MinidumpSystemInfo = parsed.get_stream().unwrap();
    let own = exception.context(&system, None).expect("the exception has registers");
    assert_eq!((own.get_instruction_pointer(), own.get_stack_pointer()), (context.rip, context.rsp));
}

#[test]
fn the_thread_asked_for_is_blamed() {
    let target = Target::start(["threads", "4"]);
    let thread = &target.parked()[2];
    let dump = dump_with(target.pid(), ["--tid", &thread.tid.to_string()]);
    let parsed = dump.parse();
    let exception: MinidumpException = parsed.get_stream().unwrap();
    assert_eq!(exception.get_crashing_thread_id(), thread.tid);
    assert_eq!(dump.thread_ids()[0], thread.tid, "it comes first");
}

#[test]
fn modules_are_the_mapped_images_with_base_and_size_from_their_headers() {
    let target = Target::start(["threads", "2"]);
    let dump = dump(target.pid());
    let mut mapped: BTreeMap<String, u64> = BTreeMap::new();
    for mapping in proc_files::maps(target.pid()) {
        if mapping.name.starts_with('/') && mapping.offset == 0 {
            mapped.entry(mapping.name).or_insert(mapping.start);
        }
    }
    let modules = dump.modules();
    let files: BTreeMap<String, u64> = modules
        .iter()
        .filter(|module| module.path.starts_with('/'))
        .map(|module| (module.path.clone(), module.base))
        .collect();
    let images: BTreeMap<String, u64> =
        mapped.into_iter().filter(|(path, _)| elf::is_image(Path::new(path))).collect();
    assert_eq!(files, images);
    for module in modules.iter().filter(|module| module.path.starts_with('/')) {
        assert_eq!(module.size, elf::span(Path::new(&module.path)), "size of {}", module.path);
    }
    assert_eq!(modules[0].path, programs::crasher().to_str().unwrap(), "the executable comes first");
}

#[test]
fn the_vdso_is_a_module_with_its_own_build_id() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let base = proc_files::auxv(target.pid(), libc::AT_SYSINFO_EHDR).unwrap();
    let vdso = dump.module_at(base).expect("the vdso is a module");
    assert_eq!((vdso.base, vdso.path.as_str()), (base, "linux-gate.so"));
    let mapping =
        proc_files::maps(target.pid()).into_iter().find(|mapping| mapping.name == "[vdso]").unwrap();
    let image = proc_files::memory(target.pid(), base, usize::try_from(mapping.end - base).unwrap());
    assert_eq!(vdso.id, elf::build_id_of(&image));
    assert!(!vdso.id.is_empty());
}

#[test]
fn build_ids_equal_those_of_the_files() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let modules: Vec<_> = dump.modules().into_iter().filter(|module| module.path.starts_with('/')).collect();
    assert!(modules.len() >= 3, "{modules:?}");
    for module in &modules {
        assert_eq!(module.id, elf::build_id(Path::new(&module.path)), "{}", module.path);
        assert!(!module.id.is_empty(), "{}", module.path);
    }
    let Some(readelf) = needs::readelf("build_ids_equal_those_of_the_files") else { return };
    for module in &modules {
        let printed =
            process::run(Command::new(&readelf).arg("-n").arg(&module.path)).expect_success("readelf");
        let digits = elf::hexadecimal(&module.id);
        let text = String::from_utf8(printed.stdout).unwrap();
        assert!(text.contains(&format!("Build ID: {digits}\n")), "{}: {digits} in {text}", module.path);
    }
}

#[test]
fn a_module_without_a_build_id_is_kept_with_the_hash_of_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().canonicalize().unwrap().join("no-build-id");
    elf::copy_with_short_build_id(programs::crasher(), &program, 0);
    assert_eq!(elf::build_id(&program), Vec::<u8>::new());
    let target = Target::start_program(&program, ["threads", "1"]);
    let main = dump(target.pid()).modules().remove(0);
    assert_eq!(main.path, program.to_str().unwrap());
    assert_eq!(main.id, elf::text_hash(&program));
}

#[test]
fn a_build_id_may_have_any_length() {
    for length in [1, 8, 16, 19] {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().canonicalize().unwrap().join("short-build-id");
        elf::copy_with_short_build_id(programs::crasher(), &program, length);
        let target = Target::start_program(&program, ["threads", "1"]);
        let main = dump(target.pid()).modules().remove(0);
        assert_eq!(main.id, elf::build_id(programs::crasher())[..length.into()], "{length} bytes");
    }
}

#[test]
fn the_version_of_a_library_is_that_of_its_soname() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let modules: MinidumpModuleList = dump.parse().get_stream().unwrap();
    let library = modules.iter().find(|module| module.code_file().ends_with("/libc.so.6")).unwrap();
    assert!(library.version().is_some_and(|version| version.starts_with("6.")), "{:?}", library.version());
}

#[test]
fn every_open_file_is_listed_with_what_it_points_to() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::start(["fds".as_ref(), folder.path().as_os_str()]);
    let dump = dump(target.pid());
    let handles: MinidumpHandleDataStream = dump.parse().get_stream().unwrap();
    let listed: BTreeMap<u64, String> = handles
        .iter()
        .map(|handle| (*handle.raw.handle().unwrap(), handle.object_name.clone().unwrap_or_default()))
        .collect();
    let mut expected = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", target.pid())).unwrap() {
        let entry = entry.unwrap();
        let number: u64 = entry.file_name().to_str().unwrap().parse().unwrap();
        expected.insert(number, std::fs::read_link(entry.path()).unwrap().to_str().unwrap().to_owned());
    }
    assert_eq!(listed, expected);
    let plain = folder.path().join("plain.txt");
    assert_eq!(listed[&target.number("file")], plain.to_str().unwrap());
    assert!(listed[&target.number("deleted")].ends_with("doomed.txt (deleted)"));
    assert!(listed[&target.number("socket_a")].starts_with("socket:["));
    assert!(listed[&target.number("memfd")].starts_with("/memfd:known"));
}

#[test]
fn the_texts_of_proc_are_there_byte_for_byte() {
    let mut command = Command::new(programs::crasher());
    command.args(["threads", "2", "an argument", ""]).env_clear().env("KNOWN_NAME", "known value");
    command.env("NOT_UTF8", std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let target = Target::start_command(&mut command);
    let dump = dump(target.pid());
    for (stream, name) in [
        (Stream::LinuxCmdLine, "cmdline"),
        (Stream::LinuxEnviron, "environ"),
        (Stream::LinuxAuxv, "auxv"),
        (Stream::LinuxMaps, "maps"),
        (Stream::MozLinuxLimits, "limits"),
    ] {
        let found = dump.stream(stream as u32).unwrap_or_else(|| panic!("{stream:?} is there"));
        assert_eq!(lossy(&found), lossy(&proc_files::read(target.pid(), name)), "{stream:?}");
        assert_eq!(found, proc_files::read(target.pid(), name), "{stream:?}");
    }
    let environ = dump.stream(Stream::LinuxEnviron as u32).unwrap();
    assert!(environ.split(|byte| *byte == 0).any(|word| word == b"KNOWN_NAME=known value"));
    assert!(environ.split(|byte| *byte == 0).any(|word| word == b"NOT_UTF8=\xff\xfe"));
}

#[test]
fn the_texts_of_the_machine_are_there() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let release = ["/etc/lsb-release", "/etc/os-release"].iter().find_map(|path| std::fs::read(path).ok());
    if let Some(release) = release {
        assert_eq!(dump.stream(Stream::LinuxLsbRelease as u32), Some(release));
    }
    // The clock changes from one reading to the next.
    let steady = |text: &[u8]| -> Vec<String> {
        lossy(text).lines().filter(|line| !line.starts_with("cpu MHz")).map(str::to_owned).collect()
    };
    let found = dump.stream(Stream::LinuxCpuInfo as u32).unwrap();
    assert_eq!(steady(&found), steady(&std::fs::read("/proc/cpuinfo").unwrap()));
    let status = lossy(&dump.stream(Stream::LinuxProcStatus as u32).unwrap());
    assert!(status.starts_with("Name:\tcrasher\n"), "{status}");
    assert!(status.contains(&format!("\nPid:\t{}\n", target.pid())), "{status}");
    assert!(status.contains("\nThreads:\t2\n"), "{status}");
}

#[test]
fn the_memory_information_equals_the_map() {
    let target = Target::start(["many-maps", "60"]);
    let dump = dump(target.pid());
    let parsed = dump.parse();
    let list: MinidumpMemoryInfoList = parsed.get_stream().unwrap();
    let found: Vec<_> = list
        .iter()
        .filter(|info| info.raw._type != 0)
        .map(|info| {
            let rights = (info.is_readable(), info.is_writable(), info.is_executable());
            (info.raw.base_address, info.raw.base_address + info.raw.region_size, rights)
        })
        .collect();
    let expected: Vec<_> = proc_files::maps(target.pid())
        .into_iter()
        .map(|mapping| {
            let has = |letter| mapping.rights.contains(letter);
            (mapping.start, mapping.end, (has('r'), has('w'), has('x')))
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_process_is_described() {
    let target = Target::start(["busy", "1"]);
    let dump = dump(target.pid());
    let misc: MinidumpMiscInfo = dump.parse().get_stream().unwrap();
    assert_eq!(misc.raw.process_id(), Some(&u32::try_from(target.pid()).unwrap()));
    let made = std::fs::metadata(format!("/proc/{}", target.pid())).unwrap().modified().unwrap();
    let started = misc.process_create_time().expect("the start time is known");
    let apart = made.duration_since(started).or_else(|_| started.duration_since(made)).unwrap();
    assert!(apart.as_secs() <= 60, "the process started at {started:?}, its folder was made at {made:?}");
    let build: String = utf16(misc.raw.build_string().unwrap());
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(build.contains(release.trim()), "{build} names the kernel {release}");
    let writer = utf16(misc.raw.dbg_bld_str().unwrap());
    assert!(writer.contains("minidump-writer"), "{writer} names the writer");
}

#[test]
fn the_machine_is_described_by_its_own_words() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let system: MinidumpSystemInfo = dump.parse().get_stream().unwrap();
    assert_eq!((system.os, system.cpu), (Os::Linux, Cpu::X86_64));
    let (basic, features) = (__cpuid(0), __cpuid(1));
    let data = system.raw.cpu.data;
    assert_eq!(
        [word32(&data, 0), word32(&data, 4), word32(&data, 8)],
        [basic.ebx, basic.edx, basic.ecx],
        "vendor"
    );
    // The bits that name the core that ran the instruction are in EBX, so EAX and EDX are the same on all.
    assert_eq!(word32(&data, 12), features.eax, "family, model, stepping");
    assert_eq!(word32(&data, 16), features.edx, "features");
    // SAFETY: sysconf takes a number and touches no memory.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
    assert_eq!(i64::from(system.raw.number_of_processors), count);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version =
        format!("{}.{}.{}", system.raw.major_version, system.raw.minor_version, system.raw.build_number);
    assert!(release.starts_with(&version), "{version} of {release}");
    assert!(system.csd_version().is_some_and(|text| text.contains(release.trim())));
}

#[test]
fn thread_times_and_affinities_are_those_of_the_kernel() {
    let target = Target::start(["busy", "1"]);
    let tid = u32::try_from(target.facts["tids"][0].as_u64().unwrap()).unwrap();
    let ticks = || -> u64 {
        let stat = lossy(&proc_files::read(target.pid(), &format!("task/{tid}/stat")));
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(11).unwrap().parse().unwrap()
    };
    process::wait_until("the thread to have used some time", || ticks() >= 5);
    let before = ticks();
    let dump = dump(target.pid());
    let after = ticks();
    let list: MinidumpThreadInfoList = dump.parse().get_stream().unwrap();
    let info = &list.get_thread_info(tid).expect("the thread is listed").raw;
    // Ticks are 10 ms; the stream counts 100 ns.
    let user = info.user_time / 100_000;
    assert!((before..=after).contains(&user), "{user} is between {before} and {after}");
    let mask = proc_files::status_line(target.pid(), tid, "Cpus_allowed").unwrap().replace(',', "");
    let mask = u128::from_str_radix(&mask, 16).unwrap();
    assert_eq!(u128::from(info.affinity), mask & u128::from(u64::MAX));
    assert_ne!(info.create_time, 0);
    let mut listed: Vec<u32> = list.thread_infos.iter().map(|info| info.raw.thread_id).collect();
    listed.sort_unstable();
    assert_eq!(listed, proc_files::threads(target.pid()));
}

#[test]
fn the_dynamic_loaders_view_is_there() {
    let target = Target::start(["threads", "1"]);
    let dump = dump(target.pid());
    let debug = dump.stream(Stream::LinuxDsoDebug as u32).unwrap();
    // Breakpad's MDRawDebug64 and MDRawLinkMap64 as a C compiler lays them out.
    let (maps, count) = (word32(&debug, 4) as usize, word32(&debug, 8) as usize);
    let loader = proc_files::auxv(target.pid(), libc::AT_BASE).unwrap();
    assert_eq!(word64(&debug, 24), loader, "the loader's base");
    let entries = dump.bytes[maps..].chunks_exact(24).take(count);
    let listed: Vec<(u64, String)> =
        entries.map(|entry| (word64(entry, 0), text_at(&dump, word32(entry, 8) as usize))).collect();
    let library = dump.modules().into_iter().find(|module| module.path.ends_with("/libc.so.6")).unwrap();
    let found = listed.iter().find(|(base, _)| *base == library.base);
    assert!(found.is_some_and(|(_, name)| name.ends_with("/libc.so.6")), "{listed:?}");
    let program = dump.module_at(dump.context(target.parked()[0].tid).unwrap().rip).unwrap();
    assert_eq!(listed[0].0, program.base, "the first entry is the program");
}

/// A string of the minidump format: its length in bytes, then UTF-16.
fn text_at(dump: &Dump, offset: usize) -> String {
    let length = word32(&dump.bytes, offset) as usize;
    let units: Vec<u16> = dump.bytes[offset + 4..][..length]
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).unwrap()
}

fn utf16(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16(&units[..end]).unwrap()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
