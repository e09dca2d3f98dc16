//! What foreign readers see in a dump.

use crate::Dump;
use crate::process;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The report of `minidump-stackwalk --json`.
#[track_caller]
pub fn stackwalk(program: &Path, dump: &Dump) -> Value {
    let finished = process::run(Command::new(program).args(["--json", "--verbose=error"]).arg(&dump.path));
    let finished = finished.expect_success("minidump-stackwalk");
    assert_eq!(finished.stderr, "", "minidump-stackwalk has nothing to complain about");
    serde_json::from_slice(&finished.stdout).expect("minidump-stackwalk prints JSON")
}

/// A thread as LLDB shows it.
#[derive(Debug, Default)]
pub struct LldbThread {
    /// Its id.
    pub tid: u32,
    /// The lines of its backtrace, innermost first.
    pub frames: Vec<String>,
    /// Its general registers.
    pub registers: BTreeMap<String, u64>,
}

/// The threads of a dump, as LLDB shows them with the symbols of `program`.
#[track_caller]
pub fn lldb_threads(lldb: &Path, program: &Path, dump: &Dump) -> Vec<LldbThread> {
    let list = lldb_run(lldb, program, dump, &["thread list".to_owned()]);
    let tids =
        list.lines().filter_map(|line| parse_id(line.split_once("tid = ")?.1.split([',', ' ']).next()?));
    let tids: Vec<u32> = tids.collect();
    let commands: Vec<String> = (1..=tids.len())
        .flat_map(|index| {
            [format!("thread select {index}"), "thread backtrace".into(), "register read".into()]
        })
        .collect();
    let output = lldb_run(lldb, program, dump, &commands);
    let sections: Vec<&str> = output.split("(lldb) thread select ").skip(1).collect();
    assert_eq!(sections.len(), tids.len(), "LLDB shows every thread");
    tids.iter().zip(sections).map(|(tid, section)| parse_thread(*tid, section)).collect()
}

/// A thread id: LLDB shows those of Windows in hexadecimal digits.
fn parse_id(text: &str) -> Option<u32> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |digits| u32::from_str_radix(digits, 16).ok())
}

fn parse_thread(tid: u32, section: &str) -> LldbThread {
    let (_, section) = section.split_once("(lldb) thread backtrace").unwrap();
    let (frames, registers) = section.split_once("(lldb) register read").unwrap();
    let frames = frames.lines().map(|line| line.trim_start_matches([' ', '*']));
    let frames: Vec<&str> = frames.filter(|line| line.starts_with("frame #")).collect();
    // The selection shows frame 0 too, and may do so late.
    let first = frames.iter().rposition(|line| line.starts_with("frame #0:")).unwrap_or(0);
    let frames = frames.iter().skip(first).map(|line| (*line).to_owned());
    let registers = registers.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(" = 0x")?;
        let digits = value.split(' ').next()?;
        Some((name.to_owned(), u64::from_str_radix(digits, 16).ok()?))
    });
    LldbThread { tid, frames: frames.collect(), registers: registers.collect() }
}

/// What LLDB answers to `commands` with the dump loaded.
#[track_caller]
pub fn lldb_run(lldb: &Path, program: &Path, dump: &Dump, commands: &[String]) -> String {
    let mut command = Command::new(lldb);
    // No start-up file of the user may change what is printed.
    command.args(["--batch", "--no-lldbinit", "--no-use-colors", "--core"]).arg(&dump.path).arg(program);
    for line in commands {
        command.arg("-o").arg(line);
    }
    let finished = process::run(&mut command).expect_success("lldb");
    let output = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert!(output.contains("was loaded"), "LLDB loads the dump: {output}{}", finished.stderr);
    output
}
