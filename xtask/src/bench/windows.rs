//! `cargo xtask bench windows`: how long a process of Windows stands still for a dump by our own capture, and how long for one
//! by the system's dumper, in Wine.
//!
//! Both dump the same process in turns. What is measured is seen by the process itself: a thread of it does nothing but look at
//! the clock.

use super::units;
use crate::{
    places,
    shell::{Doing, Outcome},
    windows,
};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const ROUNDS: usize = 40;
/// Turns of each round.
const WAYS: [&str; 3] = ["ours", "dbghelp", "nothing"];
/// Threads that wait, besides the one that looks at the clock and the main thread.
const THREADS: [&str; 3] = ["4", "16", "64"];

/// Measures, prints the table, and writes it into the documentation.
pub fn run() -> Outcome {
    let wine = windows::wine::Wine::ready()?;
    let folder = windows::build("x86_64")?;
    let _server = wine.serve()?;
    let mut rows = String::new();
    for threads in THREADS {
        let start = |program: &str, words: &[&str]| {
            let mut command = Command::new(wine.runner());
            wine.apply(command.arg(folder.join(program)).args(words).current_dir(places::target()));
            Talker::start(&mut command)
        };
        let mut target = start("windows-crasher.exe", &["gap", threads])?;
        let pid = number(&target.line()?, "pid")?.to_string();
        let mut dumper = start("windows-dumper.exe", &["turns", &pid, "bench-windows.dmp"])?;
        dumper.line()?;
        let medians = measure(&mut target, &mut dumper)?;
        rows += &row(threads, &medians);
    }
    let text = include_str!("windows.md").replace("{rounds}", &ROUNDS.to_string()).replace("{rows}\n", &rows);
    println!("{rows}");
    let path = places::root().join("docs/performance/windows.md");
    fs::write(&path, text).doing(path.display())
}

/// The median of the largest gap of each way, in nanoseconds.
fn measure(target: &mut Talker, dumper: &mut Talker) -> Outcome<[u64; 3]> {
    let mut gaps: [Vec<u64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (found, way) in gaps.iter_mut().zip(WAYS) {
            target.ask("gap")?;
            dumper.ask(way)?;
            found.push(number(&target.ask("gap")?, "gap")?);
        }
    }
    Ok(gaps.map(|mut gaps| {
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied().unwrap_or(0)
    }))
}

fn number(told: &Value, key: &str) -> Outcome<u64> {
    let found = told.get(key).and_then(Value::as_u64);
    found.ok_or_else(|| format!("no number {key} in {told}").into())
}

fn row(threads: &str, medians: &[u64; 3]) -> String {
    let [ours, dbghelp, nothing] = *medians;
    let time = |nanoseconds: u64| units::time(nanoseconds / 1000);
    let hundredths = ours.saturating_mul(100) / dbghelp.max(1);
    let ratio = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("| {threads} | {} | {} | {ratio} | {} |\n", time(ours), time(dbghelp), time(nothing))
}

/// A program to which lines are said, and which answers with lines of JSON.
struct Talker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talker {
    fn start(command: &mut Command) -> Outcome<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(Path::new(command.get_program()).display())?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err("the program has no standard streams".into());
        };
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    fn ask(&mut self, line: &str) -> Outcome<Value> {
        writeln!(self.input, "{line}").doing("the program does not listen")?;
        self.line()
    }

    fn line(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).doing("the program says nothing")?;
        serde_json::from_str(&line).map_err(|error| format!("{error}: {line:?}").into())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
