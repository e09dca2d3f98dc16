//! ELF cores: ours as debuggers see them, and conversion in both directions.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

use end_to_end::converted::{converted, converted_through_pipe};
use end_to_end::debuggers::{Subject, gcore, gdb, gdb_frames, gdb_run, lldb_frames};
use end_to_end::target::{bytes, number};
use end_to_end::{Dump, Target, dump, dump_with, needs, proc_files, process, programs};
use minidump_writer::snapshot::{Crash, Exception};
use minidump_writer::{DumpOptions, Format};
use std::path::Path;
use std::process::Command;

/// The known call chain, innermost first.
const CHAIN: [&str; 3] = ["inner_wait", "middle", "outer"];

#[test]
fn gdb_shows_the_same_frames_as_on_the_live_process() {
    let Some(gdb) = gdb("gdb_shows_the_same_frames_as_on_the_live_process") else { return };
    let target = Target::start(["threads", "16"]);
    let core = dump_with(target.pid(), ["--format", "core"]);
    let shown = gdb_frames(&gdb, Subject::Core(&core.path));
    let live = gdb_frames(&gdb, Subject::Process(target.pid()));
    assert_eq!(shown.len(), 17, "the main thread and sixteen workers");
    assert_eq!(shown, live);
    for thread in target.parked() {
        let frames = &shown[&thread.tid];
        for (frame, function) in frames.iter().zip(CHAIN) {
            assert!(frame.contains(&format!("crasher::chain::{function} ")), "{function}: {frame}");
        }
        assert!(frames.last().unwrap().contains("clone"), "{} is unwound to its birth", thread.name);
    }
}

#[test]
fn lldb_shows_the_same_frames_as_on_the_live_process() {
    let Some(lldb) = needs::lldb("lldb_shows_the_same_frames_as_on_the_live_process") else { return };
    let target = Target::start(["threads", "16"]);
    let core = dump_with(target.pid(), ["--format", "core"]);
    let shown = lldb_frames(&lldb, Subject::Core(&core.path));
    let live = lldb_frames(&lldb, Subject::Process(target.pid()));
    assert_eq!(shown.len(), 17, "the main thread and sixteen workers");
    assert_eq!(shown, live);
    for thread in target.parked() {
        for (frame, function) in shown[&thread.tid].iter().zip(CHAIN) {
            assert!(frame.contains(&format!("crasher::chain::{function}::")), "{function}: {frame}");
        }
    }
}

#[test]
fn gdb_shows_the_known_register_values_of_a_core() {
    let Some(gdb) = gdb("gdb_shows_the_known_register_values_of_a_core") else { return };
    let target = Target::start(["registers"]);
    let core = dump_with(target.pid(), ["--format", "core"]);
    let output = registers_in_gdb(&gdb, &core.path, &target);
    assert_known_registers(&output, &target);
}

#[test]
fn gdb_finds_map_vector_program_and_posix_threads_in_a_core() {
    let Some(gdb) = gdb("gdb_finds_map_vector_program_and_posix_threads_in_a_core") else { return };
    let target = Target::start(["threads", "2"]);
    let core = dump_with(target.pid(), ["--format", "core"]);
    let questions = ["info proc mappings", "info auxv", "info proc", "info threads"];
    let output = gdb_run(&gdb, Subject::Core(&core.path), &questions);
    assert!(output.contains("Thread debugging using libthread_db enabled"), "{output}");
    for mapping in proc_files::maps(target.pid()) {
        let name = &mapping.name;
        if name.starts_with('/') {
            let line =
                output.lines().find(|line| line.trim_start().starts_with(&format!("{:#x} ", mapping.start)));
            let line = line.unwrap_or_else(|| panic!("{name} is listed: {output}"));
            assert!(
                line.contains(&format!("{:#x} ", mapping.end)) && line.ends_with(name.as_str()),
                "{line}"
            );
        }
    }
    let shown = |name: &str| output.lines().find(|line| line.contains(name)).map(str::to_owned);
    for (kind, name) in [(3, "AT_PHDR"), (9, "AT_ENTRY"), (33, "AT_SYSINFO_EHDR")] {
        let line = shown(name).unwrap_or_else(|| panic!("{name} is shown: {output}"));
        assert!(line.ends_with(&format!("{:#x}", proc_files::auxv(target.pid(), kind).unwrap())), "{line}");
    }
    assert!(output.contains("crasher threads 2'"), "the command line: {output}");
    assert!(!output.contains("corrupt"), "nothing to complain about: {output}");
}

#[test]
fn debuggers_show_why_a_process_crashed() {
    let Some(gdb) = gdb("debuggers_show_why_a_process_crashed") else { return };
    let target = Target::start(["threads", "4"]);
    let crashed = target.parked()[2].tid;
    let mut options = DumpOptions::default();
    options.format = Format::ElfCore;
    let parameters = vec![1, 0xdead_beef, 14, 6, 0xdead_beef];
    let exception = Exception { thread: crashed, code: 11, flags: 1, address: 0xdead_beef, parameters };
    options.crash = Some(Crash { exception, cpu: None });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core");
    let mut file = std::fs::File::create(&path).unwrap();
    minidump_writer::dump_process(target.pid(), &options, &mut file).unwrap();
    let questions = [
        "printf \"signal %d code %d address %#lx\\n\", $_siginfo.si_signo, $_siginfo.si_code, \
         $_siginfo._sifields._sigfault.si_addr",
        "thread",
    ];
    let output = gdb_run(&gdb, Subject::Core(&path), &questions);
    assert!(output.contains("terminated with signal SIGSEGV, Segmentation fault"), "{output}");
    assert!(output.contains("signal 11 code 1 address 0xdeadbeef"), "{output}");
    let current = output.lines().rfind(|line| line.starts_with("[Current thread is 1 "));
    assert!(current.is_some_and(|line| line.contains(&format!("LWP {crashed})"))), "{output}");
}

#[test]
fn a_core_of_gdb_becomes_the_dump_that_is_made_directly() {
    let Some(gcore) = gcore("a_core_of_gdb_becomes_the_dump_that_is_made_directly") else { return };
    let mut command = Command::new(programs::crasher());
    // One arena, so that the core does not hold gigabytes of reserved address space.
    command.args(["threads", "16"]).env("MALLOC_ARENA_MAX", "1");
    let target = Target::start_command(&mut command);
    stop(target.pid());
    let folder = tempfile::tempdir().unwrap();
    let core = core_of_gdb(&gcore, target.pid(), folder.path());
    let converted = converted(&core, [""; 0]);
    let direct = dump(target.pid());
    assert_same(&converted, &direct);
    for thread in target.parked() {
        for (function, address, expected) in &thread.frames {
            let found = converted.memory(*address, expected.len());
            assert_eq!(found.as_ref(), Some(expected), "the frame of {function} of {}", thread.name);
        }
    }
    assert_eq!(converted.soft_errors(), Vec::<serde_json::Value>::new());
}

#[test]
fn the_registers_in_a_core_of_gdb_are_converted_exactly() {
    let Some(gcore) = gcore("the_registers_in_a_core_of_gdb_are_converted_exactly") else { return };
    let target = Target::start(["registers"]);
    stop(target.pid());
    let folder = tempfile::tempdir().unwrap();
    let core = core_of_gdb(&gcore, target.pid(), folder.path());
    let (converted, direct) = (converted(&core, [""; 0]), dump(target.pid()));
    assert_same(&converted, &direct);
    let area = converted.xsave(target.tid("tid")).expect("the thread has an XSAVE area");
    let (offset, _) = converted.xsave_component(2);
    for (index, value) in target.facts["vectors"].as_array().unwrap().iter().map(bytes).take(16).enumerate() {
        assert_eq!(area[160 + 16 * index..][..16], value[..16], "XMM{index}");
        assert_eq!(area[offset + 16 * index..][..16], value[16..32], "upper half of YMM{index}");
    }
}

#[test]
fn a_core_can_come_through_a_pipe() {
    let target = Target::start(["threads", "8"]);
    let core = dump_with(target.pid(), ["--format", "core"]);
    let from_file = converted(&core.path, [""; 0]);
    let from_pipe = converted_through_pipe(&core.path);
    assert!(from_pipe.bytes == from_file.bytes, "a pipe gives what a file gives");
    from_pipe.assert_parked(&target.parked());
}

#[test]
fn a_minidump_becomes_a_core_in_which_gdb_shows_the_same_frames() {
    let test = "a_minidump_becomes_a_core_in_which_gdb_shows_the_same_frames";
    let Some(gdb) = gdb(test) else { return };
    let target = Target::start(["threads", "16"]);
    let core = converted(&dump(target.pid()).path, [""; 0]);
    assert_eq!(gdb_frames(&gdb, Subject::Core(&core.path)), gdb_frames(&gdb, Subject::Process(target.pid())));
}

#[test]
fn a_minidump_becomes_a_core_in_which_gdb_shows_the_same_registers() {
    let test = "a_minidump_becomes_a_core_in_which_gdb_shows_the_same_registers";
    let Some(gdb) = gdb(test) else { return };
    let target = Target::start(["registers"]);
    let core = converted(&dump(target.pid()).path, [""; 0]);
    assert_known_registers(&registers_in_gdb(&gdb, &core.path, &target), &target);
}

#[test]
fn a_dump_survives_the_way_to_a_core_and_back() {
    let target = Target::start(["threads", "8"]);
    let dump = dump(target.pid());
    let core = converted(&dump.path, [""; 0]);
    let back = converted(&core.path, [""; 0]);
    assert_same(&back, &dump);
    back.assert_parked(&target.parked());
}

fn stop(pid: i32) {
    // SAFETY: kill takes two numbers.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
    process::wait_until("the target to stand still", || {
        proc_files::state(pid, pid.unsigned_abs()) == Some('T')
    });
}

/// Has GDB write a core of its own.
#[track_caller]
fn core_of_gdb(gcore: &Path, pid: i32, folder: &Path) -> std::path::PathBuf {
    let prefix = folder.join("core");
    process::run(Command::new(gcore).arg("-o").arg(&prefix).arg(pid.to_string())).expect_success("gcore");
    folder.join(format!("core.{pid}"))
}

/// Clears MXCSR_MASK in an FXSAVE image. It is a constant of the processor, which GDB does not keep.
fn without_mask(image: &mut [u8]) {
    image[28..32].fill(0);
}

/// The components behind the header of an XSAVE area, without zeros at the end. GDB marks components as in use that
/// are in their initial state.
fn extended(area: Option<Vec<u8>>) -> Vec<u8> {
    let mut components = area.map(|area| area[576..].to_vec()).unwrap_or_default();
    let end = components.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    components.truncate(end);
    components
}

/// Fails unless two dumps have the same threads, registers, stacks, memory and modules.
#[track_caller]
fn assert_same(converted: &Dump, direct: &Dump) {
    assert_eq!(converted.thread_ids(), direct.thread_ids());
    for tid in direct.thread_ids() {
        let registers = |dump: &Dump| {
            let mut context = dump.context(tid).unwrap();
            without_mask(&mut context.float_save);
            format!("{context:?}")
        };
        assert_eq!(registers(converted), registers(direct), "registers of {tid}");
        assert_eq!(converted.segment_bases(tid), direct.segment_bases(tid), "segment bases of {tid}");
        let extended = |dump: &Dump| extended(dump.xsave(tid));
        assert_eq!(extended(converted), extended(direct), "extended registers of {tid}");
        let (start, size) = direct.stack_range(tid);
        assert_eq!(converted.stack_range(tid), (start, size), "stack of {tid}");
        let size = usize::try_from(size).unwrap();
        assert!(converted.memory(start, size) == direct.memory(start, size), "stack bytes of {tid}");
    }
    assert!(memory(converted) == memory(direct), "memory");
    let modules = |dump: &Dump| -> Vec<(u64, u64, String, Vec<u8>)> {
        let module =
            |module: end_to_end::contents::DumpedModule| (module.base, module.size, module.path, module.id);
        dump.modules().into_iter().map(module).collect()
    };
    assert_eq!(modules(converted), modules(direct));
}

/// All memory of a dump by address, with ranges that touch joined.
fn memory(dump: &Dump) -> Vec<(u64, Vec<u8>)> {
    let dump = dump.parse();
    let list = dump.get_memory().unwrap();
    let mut ranges: Vec<(u64, Vec<u8>)> =
        list.iter().map(|range| (range.base_address(), range.bytes().to_vec())).collect();
    ranges.sort();
    ranges.dedup_by(|next, range| {
        let touches = range.0 + range.1.len() as u64 == next.0;
        if touches {
            range.1.append(&mut next.1);
        }
        touches
    });
    ranges
}

#[track_caller]
fn registers_in_gdb(gdb: &Path, core: &Path, target: &Target) -> String {
    let tid = target.tid("tid");
    let list = gdb_run(gdb, Subject::Core(core), &["info threads"]);
    let line = list.lines().find(|line| line.contains(&format!("LWP {tid}")) && line.contains("load_all"));
    let number = line.unwrap_or_else(|| panic!("thread {tid} is listed: {list}"));
    let number = number.trim_start_matches([' ', '*']).split(' ').next().unwrap();
    let mut commands = vec![format!("thread {number}")];
    for name in
        target.facts["general"].as_object().unwrap().keys().map(String::as_str).chain(["fs_base", "gs_base"])
    {
        commands.push(format!("printf \"{name}=%#lx\\n\", (unsigned long)${name}"));
    }
    commands.push("print/x $mxcsr".into());
    for index in 0..16 {
        commands.push(format!("printf \"ymm{index}=%#lx,%#lx,%#lx,%#lx\\n\", {}", lanes(index)));
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    gdb_run(gdb, Subject::Core(core), &commands)
}

/// The four words of a YMM register as GDB's expressions.
fn lanes(index: usize) -> String {
    (0..4).map(|lane| format!("$ymm{index}.v4_int64[{lane}]")).collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn assert_known_registers(output: &str, target: &Target) {
    let has = |line: &str| output.lines().any(|found| found == line);
    for (name, value) in target.facts["general"].as_object().unwrap() {
        let expected = format!("{name}={:#x}", value.as_u64().unwrap());
        assert!(has(&expected), "{expected}: {output}");
    }
    for name in ["fs_base", "gs_base"] {
        let expected = format!("{name}={:#x}", number(&target.facts, name));
        assert!(has(&expected), "{expected}: {output}");
    }
    let mxcsr = format!(" = {:#x}", target.number("mxcsr"));
    assert!(output.lines().any(|line| line.ends_with(&mxcsr)), "mxcsr{mxcsr}: {output}");
    if target.facts["level"] == "sse" {
        return needs::missing("YMM registers in cores", "the processor has no AVX");
    }
    for (index, value) in target.facts["vectors"].as_array().unwrap().iter().map(bytes).take(16).enumerate() {
        let word = |lane: usize| u64::from_le_bytes(value[8 * lane..8 * lane + 8].try_into().unwrap());
        let expected = format!("ymm{index}={:#x},{:#x},{:#x},{:#x}", word(0), word(1), word(2), word(3));
        assert!(has(&expected), "{expected}: {output}");
    }
}
