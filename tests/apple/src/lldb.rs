//! What LLDB shows of a core or a minidump.
//!
//! One LLDB answers all questions of a call one after the other: starting it takes longer than loading a core. It reads
//! commands from its standard input, where a command that fails does not end the session. Frames and threads come in formats
//! of our own, so that nothing has to be picked out of sentences.

use crate::image::Image;
use crate::tools::Tools;
use crate::{Arch, programs};
use end_to_end::process;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const FRAME: &str = "frame ${frame.index} ${frame.pc}{ m=${module.file.basename}}{ f=${function.name-without-args}}\
    { l=${line.file.basename}:${line.number}}\\n";
const THREAD: &str = "thread ${thread.index} ${thread.id}{ r=${thread.stop-reason}}\\n";

/// A binary that the reader has, and its debug information.
#[derive(Debug, Clone)]
pub struct Module {
    /// The Mach-O file.
    pub binary: PathBuf,
    /// The file inside of its dSYM.
    pub debug: Option<PathBuf>,
}

/// What LLDB is to look at.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The core or minidump.
    pub file: &'a Path,
    /// Which part of files for several processors.
    pub arch: Arch,
    /// The executable, where the reader has it.
    pub executable: Option<Module>,
    /// Libraries and bundles that the reader has.
    pub modules: Vec<Module>,
    /// Commands before anything is loaded.
    pub before: Vec<String>,
    /// Commands at the end.
    pub commands: Vec<String>,
    /// Of so many threads, from the first on, registers are read.
    pub registers: usize,
}

impl<'a> Question<'a> {
    /// About `file`, by a reader who has no binaries.
    pub fn bare(file: &'a Path, arch: Arch) -> Self {
        let (before, commands) = (Vec::new(), Vec::new());
        Self { file, arch, executable: None, modules: Vec::new(), before, commands, registers: 0 }
    }

    /// About `file`, by a reader who has the programs that are not the system's, with debug information.
    pub fn with_ours(file: &'a Path, arch: Arch, built: programs::Built) -> Self {
        let module =
            |name: &str| Module { binary: built.path(name), debug: Some(built.debug_information(name)) };
        let [executable, rest @ ..] = programs::OURS.map(module);
        Self { executable: Some(executable), modules: rest.into(), ..Self::bare(file, arch) }
    }

    /// As [`Self::bare`], with binaries that have no debug information: the first is the executable.
    pub fn with_images(file: &'a Path, arch: Arch, images: &[&Image]) -> Self {
        let mut modules = images.iter().map(|image| Module { binary: image.file.clone(), debug: None });
        let executable = modules.next();
        Self { executable, modules: modules.collect(), ..Self::bare(file, arch) }
    }

    /// Adds a command whose answer will be among [`Answer::replies`].
    #[must_use]
    pub fn then(mut self, command: &str) -> Self {
        self.commands.push(command.to_owned());
        self
    }

    /// Adds a command before anything is loaded.
    #[must_use]
    pub fn after(mut self, command: &str) -> Self {
        self.before.push(command.to_owned());
        self
    }

    /// Reads the registers of the first `count` threads.
    #[must_use]
    pub fn registers(mut self, count: usize) -> Self {
        self.registers = count;
        self
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec!["target delete --all --clean".to_owned()];
        lines.extend(self.before.iter().cloned());
        let arch = self.arch.name();
        let loaded = |module: &Module| {
            let debug = module.debug.as_ref();
            debug.map_or(String::new(), |debug| format!("-s {} ", debug.display()))
                + &module.binary.display().to_string()
        };
        if let Some(executable) = &self.executable {
            lines.push(format!("target create --arch {arch} {}", loaded(executable)));
        }
        // Without a target, there is none to add modules to.
        for module in self.modules.iter().filter(|_| self.executable.is_some()) {
            lines.push(format!("target modules add {}", loaded(module)));
        }
        let core = format!("--core {}", self.file.display());
        lines.push(self.executable.as_ref().map_or_else(
            || format!("target create {core}"),
            |executable| format!("target create --arch {arch} {core} {}", executable.binary.display()),
        ));
        lines.extend(["thread list", "thread backtrace all", "image list"].map(str::to_owned));
        for index in 1..=self.registers {
            lines.push(format!("thread select {index}"));
            lines.push("register read --all".to_owned());
        }
        lines.extend(self.commands.iter().cloned());
        lines
    }
}

/// A frame of a backtrace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Instruction pointer.
    pub pc: u64,
    /// Last part of its module's path, where it is known to LLDB.
    pub module: Option<String>,
    /// Its function.
    pub function: Option<String>,
    /// File and line.
    pub line: Option<String>,
}

/// A thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: u64,
    /// Why it stopped, where LLDB thinks it did.
    pub stop_reason: Option<String>,
    /// LLDB begins with this thread.
    pub is_selected: bool,
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// By name; empty unless asked for.
    pub registers: BTreeMap<String, u64>,
    /// Vector registers as their bytes, likewise.
    pub vectors: BTreeMap<String, Vec<u8>>,
}

/// A row of `image list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its UUID as LLDB prints it.
    pub uuid: String,
    /// Address of its header.
    pub address: u64,
    /// Its path.
    pub path: String,
}

/// What LLDB showed.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// It took the file.
    pub is_loaded: bool,
    /// In the order of the file.
    pub threads: Vec<Thread>,
    /// Modules.
    pub images: Vec<Loaded>,
    /// What it said to [`Question::commands`].
    pub replies: Vec<String>,
}

/// Asks one question.
#[track_caller]
pub fn ask_one(tools: &Tools, question: Question<'_>) -> Answer {
    ask(tools, &[question]).pop().unwrap()
}

/// Asks all questions in one session. Fails the test when LLDB hangs or crashes.
#[track_caller]
pub fn ask(tools: &Tools, questions: &[Question<'_>]) -> Vec<Answer> {
    let session = Session::run(tools, questions);
    assert!(session.succeeded, "LLDB: {}", session.errors);
    assert_eq!(session.answers.len(), questions.len(), "LLDB answers all: {}", session.errors);
    session.answers
}

/// Asks all questions; a question that LLDB crashes at has no answer. Fails the test when LLDB hangs.
#[track_caller]
pub fn survived(tools: &Tools, questions: &[Question<'_>]) -> Vec<Option<Answer>> {
    let mut answers = Vec::new();
    while answers.len() < questions.len() {
        let session = Session::run(tools, &questions[answers.len()..]);
        answers.extend(session.answers.into_iter().map(Some));
        if !session.succeeded {
            answers.push(None);
        }
    }
    answers
}

struct Session {
    /// Of the questions that it came to the end of.
    answers: Vec<Answer>,
    succeeded: bool,
    errors: String,
}

impl Session {
    #[track_caller]
    fn run(tools: &Tools, questions: &[Question<'_>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("commands");
        let mut lines = preamble();
        let first = lines.len();
        let asked: Vec<Vec<String>> = questions.iter().map(Question::lines).collect();
        lines.extend(asked.iter().flatten().cloned());
        // What stands behind the last answer tells that it is whole.
        lines.push("quit".to_owned());
        std::fs::write(&script, lines.join("\n") + "\n").unwrap();
        let mut command = Command::new(&tools.lldb);
        command.args(["--no-lldbinit", "--no-use-colors"]);
        command.env("LC_ALL", "C.UTF-8").env("DEBUGINFOD_URLS", "").env("TMPDIR", folder.path());
        let finished = process::run_with_input(&mut command, File::open(&script).unwrap());
        let text = String::from_utf8_lossy(&finished.stdout).into_owned();
        let sections: Vec<&str> = text.split("(lldb) ").skip(1).collect();
        for (section, line) in sections.iter().zip(&lines) {
            assert!(section.starts_with(line.as_str()), "LLDB repeats {section:?} instead of `{line}`");
        }
        let mut rest = sections.get(first..).unwrap_or_default();
        let mut answers = Vec::new();
        for (question, lines) in questions.iter().zip(&asked) {
            if rest.len() <= lines.len() {
                break;
            }
            let (sections, behind) = rest.split_at(lines.len());
            let replies = sections.iter().zip(lines).map(|(section, line)| section[line.len()..].to_owned());
            answers.push(answer(question, lines, &replies.collect::<Vec<_>>()));
            rest = behind;
        }
        Self { answers, succeeded: finished.status.success(), errors: finished.stderr }
    }
}

fn preamble() -> Vec<String> {
    let mut lines = vec![
        "settings set interpreter.stop-command-source-on-error false".to_owned(),
        "settings set symbols.enable-external-lookup false".to_owned(),
        "settings set stop-disassembly-display never".to_owned(),
        "settings set stop-line-count-before 0".to_owned(),
        "settings set stop-line-count-after 0".to_owned(),
    ];
    let formats = [("frame-format", FRAME), ("thread-format", THREAD), ("thread-stop-format", THREAD)];
    lines.extend(formats.map(|(name, format)| format!("settings set {name} \"{format}\"")));
    lines
}

fn answer(question: &Question<'_>, lines: &[String], replies: &[String]) -> Answer {
    let core = lines.iter().position(|line| line.contains(" --core ")).unwrap();
    let mut threads = listed(&replies[core + 1]);
    for (thread, frames) in threads.iter_mut().zip(backtraces(&replies[core + 2])) {
        thread.frames = frames;
    }
    for (index, thread) in threads.iter_mut().enumerate().take(question.registers) {
        // The selection may be shown late, among the registers: its lines look different.
        (thread.registers, thread.vectors) = registers(&replies[core + 5 + 2 * index]);
    }
    let images = replies[core + 3].lines().filter_map(loaded);
    Answer {
        is_loaded: replies[core].contains("was loaded"),
        threads,
        images: images.collect(),
        replies: replies[core + 4 + 2 * question.registers..].to_vec(),
    }
}

fn listed(reply: &str) -> Vec<Thread> {
    let mut threads = Vec::new();
    for line in reply.lines() {
        let Some(rest) = line.trim_start_matches(['*', ' ']).strip_prefix("thread ") else { continue };
        let (numbers, reason) = rest.split_once(" r=").map_or((rest, None), |(one, two)| (one, Some(two)));
        let id = numbers.split(' ').nth(1).and_then(hexadecimal).unwrap();
        let stop_reason = reason.map(str::to_owned);
        threads.push(Thread { id, stop_reason, is_selected: line.starts_with('*'), ..Thread::default() });
    }
    threads
}

fn backtraces(reply: &str) -> Vec<Vec<Frame>> {
    let mut threads: Vec<Vec<Frame>> = Vec::new();
    for line in reply.lines().map(|line| line.trim_start_matches(['*', ' '])) {
        if line.starts_with("thread ") {
            threads.push(Vec::new());
        } else if let Some(rest) = line.strip_prefix("frame ") {
            threads.last_mut().unwrap().push(frame(rest));
        }
    }
    threads
}

/// `0 0x0000000101234288 m=libcrash.dylib f=lib_leaf l=crash.c:5`, where all but the numbers may be missing.
fn frame(line: &str) -> Frame {
    let mut words = line.split(' ').skip(1);
    let pc = words.next().and_then(hexadecimal).unwrap();
    let rest = line.split_once(" m=").map_or("", |(_, rest)| rest);
    let (rest, place) = rest.split_once(" l=").map_or((rest, None), |(one, two)| (one, Some(two)));
    let (module, function) = rest.split_once(" f=").map_or((rest, None), |(one, two)| (one, Some(two)));
    // LLDB numbers the functions that have no name.
    let is_name = |text: &String| !text.is_empty() && !text.starts_with("___lldb_unnamed_symbol");
    let text = |text: &str| Some(text.to_owned()).filter(is_name);
    Frame { pc, module: text(module), function: function.and_then(text), line: place.and_then(text) }
}

fn registers(reply: &str) -> (BTreeMap<String, u64>, BTreeMap<String, Vec<u8>>) {
    let (mut numbers, mut vectors) = (BTreeMap::new(), BTreeMap::new());
    for (name, value) in reply.lines().filter_map(|line| line.trim().split_once(" = ")) {
        if let Some(bytes) = value.strip_prefix('{') {
            let bytes = bytes.trim_end_matches('}').split(' ').filter_map(hexadecimal);
            vectors.insert(name.to_owned(), bytes.map(|byte| u8::try_from(byte).unwrap()).collect());
        } else if let Some(number) = value.split(' ').next().and_then(hexadecimal) {
            numbers.insert(name.to_owned(), number);
        }
    }
    (numbers, vectors)
}

/// `[  0] 4C4C44A7-... 0x0000000100f4c000 /path`.
fn loaded(line: &str) -> Option<Loaded> {
    let mut words = line.strip_prefix('[')?.split_once(']')?.1.split_whitespace();
    let uuid = words.next()?.to_owned();
    Some(Loaded { uuid, address: hexadecimal(words.next()?)?, path: words.next()?.to_owned() })
}

fn hexadecimal(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_with_and_without_symbols() {
        let known = frame("1 0x00000001012342a4 m=libcrash.dylib f=lib_mid l=crash.c:10");
        let text = |text: &str| Some(text.to_owned());
        let (module, function, line) = (text("libcrash.dylib"), text("lib_mid"), text("crash.c:10"));
        assert_eq!(known, Frame { pc: 0x1_0123_42a4, module, function, line });
        let unknown = frame("2 0x000000018d53c274");
        assert_eq!(unknown, Frame { pc: 0x1_8d53_c274, ..Frame::default() });
    }

    #[test]
    fn threads_are_read_with_their_reasons() {
        let reply = "Process 0 stopped\n* thread 1 0x1a2b3c r=ESR_EC_DABORT_EL0 (fault address: 0x10)\n  thread 2 0x1a2b3d\n";
        let threads = listed(reply);
        assert_eq!(threads.iter().map(|thread| thread.id).collect::<Vec<_>>(), [0x1a_2b3c, 0x1a_2b3d]);
        assert_eq!(threads[0].stop_reason.as_deref(), Some("ESR_EC_DABORT_EL0 (fault address: 0x10)"));
        assert_eq!((threads[0].is_selected, threads[1].is_selected), (true, false));
        assert_eq!(threads[1].stop_reason, None);
    }
}
