//! A dump as text for people.

mod apple;
mod registers;
mod windows;

use super::fold::{self, Group};
use super::model::{
    Access, Annotation, Crash, Dump, Format, Frame, Module, Process, SymbolsFound, System, Thread, Trust,
};
use super::time::{span, utc};
use crate::text::{counted, escape, grouped};
use minidump_writer::snapshot::SoftError;

/// Equal frames in a row that are told one by one. A recursion that is deeper is told as one.
const LONGEST_RUN: usize = 3;

/// Lines of text, in which nothing foreign can steer a terminal: every line goes through [`escape`].
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(&escape(line));
        self.text.push('\n');
    }

    fn fact(&mut self, name: &str, value: &str) {
        self.line(&format!("{name:<14}{value}"));
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }
}

/// Renders all of `dump`.
pub fn render(dump: &Dump) -> String {
    let mut page = Page::default();
    page.fact("crash reason", &crash(&dump.crash));
    if let Some(windows) = &dump.windows {
        windows::exception(&mut page, windows);
    }
    page.fact("system", &system(&dump.system));
    page.fact("process", &process(&dump.process));
    if let Some(arguments) = &dump.process.command_line {
        page.fact("command line", &arguments.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(" "));
    }
    page.fact("memory", &memory(dump));
    page.fact("dump", &file(dump));
    if let Some(apple) = &dump.apple {
        apple::process(&mut page, apple);
    }
    if let Some(windows) = &dump.windows {
        windows::process(&mut page, windows);
    }
    for annotation in &dump.annotations {
        page.fact("annotation", &told(annotation));
    }
    page.gap();
    page.line(&counted(dump.threads.len() as u64, "thread"));
    for group in fold::fold(&dump.threads) {
        page.gap();
        threads(&mut page, &group);
    }
    if dump.apple.is_some() {
        apple::blamed(&mut page, &dump.threads);
    }
    if let Some(windows) = &dump.windows {
        windows::blamed(&mut page, windows, &dump.threads);
    }
    page.gap();
    modules(&mut page, &dump.modules);
    if let Some(windows) = &dump.windows {
        windows::unloaded(&mut page, &windows.unloaded_modules);
    }
    if !dump.soft_errors.is_empty() {
        page.gap();
        page.line(&format!("{} of the writer", counted(dump.soft_errors.len() as u64, "soft error")));
        dump.soft_errors.iter().for_each(|error| page.line(&format!("  {}", soft_error(error))));
    }
    if !dump.warnings.is_empty() {
        page.gap();
        page.line("what could not be shown");
        dump.warnings.iter().for_each(|warning| page.line(&format!("  {warning}")));
    }
    page.text
}

/// Renders the crash of `dump`, and the thread that it happened in.
pub fn render_crash(dump: &Dump) -> String {
    let mut page = Page::default();
    page.fact("crash reason", &crash(&dump.crash));
    if let Some(thread) = dump.threads.iter().find(|thread| thread.blamed) {
        threads(&mut page, &vec![thread]);
    }
    page.text
}

fn crash(crash: &Crash) -> String {
    if !crash.crashed {
        return "dump requested, no crash".into();
    }
    let reason = crash.reason.as_deref().unwrap_or("unknown");
    let address = crash.address.map_or(String::new(), |address| format!(" at {:#x}", address.0));
    let thread = crash.thread.map_or(String::new(), |thread| format!(", thread {thread}"));
    let access = match crash.access {
        Some(Access::Read) => ", on reading",
        Some(Access::Write) => ", on writing",
        Some(Access::Execute) => ", on executing",
        None => "",
    };
    let sender = crash
        .sender
        .map_or(String::new(), |sender| format!(", sent by process {} of user {}", sender.pid, sender.uid));
    format!("{reason}{address}{access}{thread}{sender}")
}

fn file(dump: &Dump) -> String {
    let mut parts = vec![dump.file.clone(), counted(dump.bytes, "byte")];
    parts.extend(dump.uncompressed_bytes.map(|size| format!("compressed from {}", grouped(size))));
    match dump.format {
        Format::Minidump => {}
        Format::Core => parts.push("an ELF core".into()),
        Format::MachoCore => parts.push("a Mach-O core".into()),
    }
    parts.push(format!("taken {}", utc(dump.taken_at)));
    parts.join(", ")
}

/// `KEY = VALUE`, and which module says so.
fn told(annotation: &Annotation) -> String {
    let Annotation { key, value, module } = annotation;
    let pair = if key.is_empty() { value.clone() } else { format!("{key} = {value}") };
    module.map_or(pair.clone(), |module| format!("{pair} (of module {module})"))
}

fn system(system: &System) -> String {
    let mut parts = vec![format!("{} {}", system.os, system.os_version)];
    parts.extend(system.distribution.clone());
    parts.push(system.cpu.clone());
    parts.push(counted(system.processors.into(), "processor"));
    parts.extend(system.cpu_info.clone());
    parts.join(", ")
}

fn process(process: &Process) -> String {
    let pid = process.pid.map_or_else(|| "unknown id".into(), |pid| pid.to_string());
    let mut parts = vec![process.name.as_ref().map_or(pid.clone(), |name| format!("{pid} {name}"))];
    parts.extend(process.started_at.map(|at| format!("started {}", utc(at))));
    parts.extend(process.uptime.map(|seconds| format!("up {}", span(seconds))));
    if let (Some(user), Some(kernel)) = (process.user_time, process.kernel_time) {
        parts.push(format!("CPU time {} user, {} kernel", span(user), span(kernel)));
    }
    parts.join(", ")
}

fn memory(dump: &Dump) -> String {
    let memory = &dump.memory;
    let held = format!("{} in {}", counted(memory.bytes, "byte"), counted(memory.ranges, "range"));
    let regions = memory.regions.map(|count| format!(", of {}", counted(count, "mapped region")));
    let missing = memory.missing.filter(|missing| *missing > 0);
    let missing = missing.map(|missing| format!("; {} could not be read", counted(missing, "byte")));
    let full = if dump.is_full { "; all that was readable" } else { "" };
    let sanitised = if dump.is_sanitised { "; stacks are sanitised" } else { "" };
    format!("{held}{}{full}{sanitised}{}", regions.unwrap_or_default(), missing.unwrap_or_default())
}

/// An argument as a shell would need it.
fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-_./:=,+@%".contains(character);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.into();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

fn threads(page: &mut Page, group: &Group) {
    let Some(first) = group.first() else { return };
    page.line(&heading(group));
    let told = |thread: &&Thread| apple::thread(thread).or_else(|| windows::thread(thread));
    group.iter().filter_map(told).for_each(|line| page.line(&line));
    let mut expected = 0;
    for run in first.frames.chunk_by(is_recursion) {
        let (Some(start), Some(end)) = (run.first(), run.last()) else { continue };
        if start.index != expected {
            page.line(&format!("  ...  {} left out", counted(first.frames_omitted as u64, "frame")));
        }
        expected = end.index + 1;
        let shown = if run.len() > LONGEST_RUN { 1 } else { run.len() };
        run.iter().take(shown).for_each(|frame| page.line(&line_of(frame)));
        if shown < run.len() {
            page.line(&format!("  ...  the same to #{}", end.index));
        }
    }
    if let Some(note) = &first.note {
        page.line(&format!("  ({note})"));
    }
}

/// Whether `next` is the same call again, right after `frame`.
fn is_recursion(frame: &Frame, next: &Frame) -> bool {
    let same = Frame { index: next.index, ..frame.clone() };
    next.index == frame.index + 1 && same == *next
}

/// `thread 12 "main" (blamed)`, or `3 threads "worker": ids 12, 13, 14`.
fn heading(group: &Group) -> String {
    let name = |thread: &Thread| thread.name.as_ref().map_or(String::new(), |name| format!(" \"{name}\""));
    let Some(first) = group.first() else { return String::new() };
    if group.len() == 1 {
        let mark = if first.blamed { " (blamed)" } else { "" };
        return format!("thread {}{}{mark}", first.id, name(first));
    }
    let same_name = group.iter().all(|thread| thread.name == first.name);
    let each: Vec<String> = group
        .iter()
        .map(|thread| format!("{}{}", thread.id, if same_name { String::new() } else { name(thread) }))
        .collect();
    let common = if same_name { name(first) } else { String::new() };
    format!("{} threads{common}: ids {}", group.len(), each.join(", "))
}

/// `  #3   main at src/main.rs:12  [app+0x1234, cfi]`
fn line_of(frame: &Frame) -> String {
    let number = format!("#{}", frame.index);
    let function = frame.function.as_deref().unwrap_or("??");
    let line = frame.line.map_or(String::new(), |line| format!(":{line}"));
    let source = frame.file.as_ref().map_or(String::new(), |file| format!(" at {file}{line}"));
    let place = match (&frame.module, frame.module_offset) {
        _ if frame.inlined => "inlined".into(),
        (Some(module), Some(offset)) => {
            let unloaded = if frame.unloaded { " (unloaded)" } else { "" };
            format!("{}+{:#x}{unloaded}, {}", module, offset.0, trust(frame.trust))
        }
        _ => format!("{:#x}, {}", frame.instruction.0, trust(frame.trust)),
    };
    format!("  {number:<4} {function}{source}  [{place}]")
}

fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Context => "registers",
        Trust::CallFrameInfo => "cfi",
        Trust::FramePointer => "frame pointer",
        Trust::Scan => "stack scan",
        Trust::Unknown => "unknown",
    }
}

fn modules(page: &mut Page, modules: &[Module]) {
    page.line(&counted(modules.len() as u64, "module"));
    let size_of_ids =
        modules.iter().filter_map(|module| module.id.as_ref()).map(String::len).max().unwrap_or(1);
    for module in modules {
        let id = module.id.as_deref().unwrap_or("-");
        let code_id = module.code_id.as_ref().map_or(String::new(), |id| format!("{id:<13} "));
        let size = format!("{:#x}", module.size);
        let version = module.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
        let symbols = match module.symbols {
            SymbolsFound::NotNeeded | SymbolsFound::Lines => "",
            SymbolsFound::Names => " (no source lines here)",
            SymbolsFound::Missing => " (not on this machine)",
            SymbolsFound::Mismatch => " (another build on this machine)",
        };
        page.line(&format!(
            "  {:#014x} {size:>10} {id:<size_of_ids$} {code_id}{}{version}{symbols}",
            module.base.0, module.path
        ));
    }
}

/// A soft error as the writer meant it; one of another writer as it stands.
fn soft_error(error: &serde_json::Value) -> String {
    match serde_json::from_value::<SoftError>(error.clone()) {
        Ok(error) => error.to_string(),
        Err(_) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Address, Memory, Sender};
    use super::*;

    fn frame(index: usize, function: Option<&str>) -> Frame {
        Frame {
            index,
            instruction: Address(0x40_1234),
            function: function.map(String::from),
            function_offset: None,
            file: None,
            line: None,
            module: Some("app".into()),
            module_offset: Some(Address(0x1234)),
            unloaded: false,
            inlined: false,
            trust: Trust::CallFrameInfo,
        }
    }

    fn thread(id: u32, name: &str) -> Thread {
        Thread { id, name: Some(name.into()), frames: vec![frame(0, Some("wait"))], ..Thread::default() }
    }

    fn dump() -> Dump {
        Dump {
            file: "app-7.dmp".into(),
            bytes: 123_456,
            system: System {
                os: "Linux".into(),
                os_version: "6.1.0".into(),
                cpu: "amd64".into(),
                processors: 2,
                ..System::default()
            },
            process: Process {
                pid: Some(7),
                name: Some("app".into()),
                command_line: Some(vec!["app".into(), "two words".into(), "it's".into(), String::new()]),
                started_at: Some(0),
                uptime: Some(61),
                ..Process::default()
            },
            threads: vec![Thread { blamed: true, ..thread(7, "app") }, thread(8, "pool"), thread(9, "pool")],
            modules: vec![Module {
                base: Address(0x40_0000),
                size: 0x2000,
                id: Some("abcd".into()),
                code_id: None,
                debug_file: None,
                path: "/usr/bin/app".into(),
                version: None,
                symbols: SymbolsFound::Names,
            }],
            memory: Memory { ranges: 3, bytes: 4096, missing: Some(0), regions: Some(40) },
            soft_errors: vec![
                serde_json::json!({"stage": "memory", "message": "a page was gone", "address": 4096}),
                serde_json::json!({"StopProcessFailed": ["a"]}),
            ],
            warnings: vec!["its exception stream (0x6) is unreadable".into()],
            ..Dump::default()
        }
    }

    #[test]
    fn a_dump_is_told_from_top_to_bottom() {
        let expected = "\
crash reason  dump requested, no crash
system        Linux 6.1.0, amd64, 2 processors
process       7 app, started 1970-01-01 00:00:00 UTC, up 1 min 1 s
command line  app 'two words' 'it'\\''s' ''
memory        4,096 bytes in 3 ranges, of 40 mapped regions
dump          app-7.dmp, 123,456 bytes, taken 1970-01-01 00:00:00 UTC

3 threads

thread 7 \"app\" (blamed)
  #0   wait  [app+0x1234, cfi]

2 threads \"pool\": ids 8, 9
  #0   wait  [app+0x1234, cfi]

1 module
  0x000000400000     0x2000 abcd /usr/bin/app (no source lines here)

2 soft errors of the writer
  a page was gone, address 0x1000
  {\"StopProcessFailed\":[\"a\"]}

what could not be shown
  its exception stream (0x6) is unreadable
";
        assert_eq!(render(&dump()), expected);
    }

    #[test]
    fn a_crash_names_reason_address_and_thread() {
        let told = crash(&Crash {
            crashed: true,
            reason: Some("SIGSEGV / SEGV_MAPERR".into()),
            address: Some(Address(8)),
            thread: Some(7),
            access: Some(Access::Write),
            ..Crash::default()
        });
        assert_eq!(told, "SIGSEGV / SEGV_MAPERR at 0x8, on writing, thread 7");
    }

    #[test]
    fn a_sent_signal_names_its_sender() {
        let told = crash(&Crash {
            crashed: true,
            reason: Some("SIGABRT / SI_TKILL".into()),
            sender: Some(Sender { pid: 7, uid: 1000 }),
            thread: Some(8),
            ..Crash::default()
        });
        assert_eq!(told, "SIGABRT / SI_TKILL, thread 8, sent by process 7 of user 1000");
    }

    #[test]
    fn what_is_special_about_a_dump_is_told() {
        let mut special = dump();
        special.is_full = true;
        special.is_sanitised = true;
        special.memory.missing = Some(1);
        special.uncompressed_bytes = Some(9_999);
        special.format = Format::Core;
        special.annotations = vec![
            Annotation { key: "version".into(), value: "1 2".into(), module: None },
            Annotation { key: String::new(), value: "text".into(), module: Some(3) },
        ];
        let text = render(&special);
        for line in [
            "memory        4,096 bytes in 3 ranges, of 40 mapped regions; all that was readable; stacks are sanitised; 1 byte could not be read",
            "dump          app-7.dmp, 123,456 bytes, compressed from 9,999, an ELF core, taken 1970-01-01 00:00:00 UTC",
            "annotation    version = 1 2",
            "annotation    text (of module 3)",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn frames_tell_what_is_known_and_no_more() {
        let mut shown = frame(12, Some("main"));
        shown.file = Some("src/main.rs".into());
        shown.line = Some(5);
        assert_eq!(line_of(&shown), "  #12  main at src/main.rs:5  [app+0x1234, cfi]");
        shown.inlined = true;
        assert_eq!(line_of(&shown), "  #12  main at src/main.rs:5  [inlined]");
        let unknown = Frame { module: None, module_offset: None, trust: Trust::Scan, ..frame(1, None) };
        assert_eq!(line_of(&unknown), "  #1   ??  [0x401234, stack scan]");
    }

    #[test]
    fn names_of_folded_threads_are_told_when_they_differ() {
        let threads = [thread(1, "a"), thread(2, "b")];
        assert_eq!(heading(&threads.iter().collect()), "2 threads: ids 1 \"a\", 2 \"b\"");
    }

    #[test]
    fn a_gap_in_a_long_stack_is_told() {
        let mut long = thread(1, "deep");
        long.frames = vec![frame(0, Some("f")), frame(9, Some("main"))];
        long.frames_omitted = 8;
        let mut page = Page::default();
        threads(&mut page, &vec![&long]);
        assert!(page.text.contains("\n  ...  8 frames left out\n  #9 "), "{}", page.text);
    }

    #[test]
    fn a_deep_recursion_is_told_as_one() {
        let mut deep = thread(1, "deep");
        deep.frames = (0..5).map(|index| frame(index, Some("f"))).chain([frame(5, Some("main"))]).collect();
        let mut page = Page::default();
        threads(&mut page, &vec![&deep]);
        let expected = "thread 1 \"deep\"\n  #0   f  [app+0x1234, cfi]\n  ...  the same to #4\n  #5   main  [app+0x1234, cfi]\n";
        assert_eq!(page.text, expected);
        deep.frames.drain(0..2);
        for (index, frame) in deep.frames.iter_mut().enumerate() {
            frame.index = index;
        }
        let mut page = Page::default();
        threads(&mut page, &vec![&deep]);
        assert_eq!(page.text.matches("]\n").count(), 4);
    }

    #[test]
    fn nothing_in_a_dump_reaches_the_terminal_as_a_control_sequence() {
        let evil = "\u{1b}]0;owned\u{7}\u{9b}31m\r\n\u{202e}";
        let mut dump = dump();
        dump.file = evil.into();
        dump.system.os_version = evil.into();
        dump.system.distribution = Some(evil.into());
        dump.system.cpu_info = Some(evil.into());
        dump.process.name = Some(evil.into());
        dump.process.command_line = Some(vec![evil.into()]);
        dump.crash = Crash { crashed: true, reason: Some(evil.into()), ..Crash::default() };
        for thread in &mut dump.threads {
            thread.name = Some(evil.into());
            thread.note = Some(evil.into());
            thread.frames[0].function = Some(evil.into());
            thread.frames[0].file = Some(evil.into());
            thread.frames[0].module = Some(evil.into());
        }
        dump.modules[0].path = evil.into();
        dump.modules[0].version = Some(evil.into());
        dump.modules[0].id = Some(evil.into());
        dump.soft_errors =
            vec![serde_json::json!(evil), serde_json::json!({"stage": "memory", "message": evil})];
        dump.warnings = vec![evil.into()];
        dump.annotations = vec![Annotation { key: evil.into(), value: evil.into(), module: None }];
        let text = render(&dump);
        let foreign =
            |character: char| character != '\n' && (character.is_control() || character == '\u{202e}');
        assert!(!text.contains(foreign), "{text:?}");
        // The note of each of the two groups, and the annotation, take a line more.
        assert_eq!(text.lines().count(), render(&self::dump()).lines().count() + 3);
    }
}
