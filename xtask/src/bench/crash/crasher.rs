//! One process that is about to crash.

use crate::{
    bench::os,
    shell::{Doing, Outcome},
};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

/// A program of `tests/crash-bench/src/program.rs` that has told that it is ready.
#[derive(Debug)]
pub struct Crasher {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What its protection took.
    pub start: Duration,
}

/// How it ended.
#[derive(Debug)]
pub struct End {
    /// From just before the crash till its parent was told of its end.
    pub took: Duration,
    /// When it crashed, and when its parent was told, on the clock of `CLOCK_MONOTONIC`.
    pub crashed: Duration,
    pub at: Duration,
}

impl Crasher {
    /// Starts it and waits until it is ready.
    pub fn start(mut command: Command) -> Outcome<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().doing("no crasher")?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a crasher has no pipes".into());
        };
        let mut output = BufReader::new(output);
        let line = line(&mut output)?;
        let took = line.strip_prefix("ready ").and_then(|number| number.parse().ok());
        let start = Duration::from_nanos(took.ok_or_else(|| format!("a crasher says '{line}'"))?);
        Ok(Self { child, input, output, start })
    }

    /// Has it crash.
    pub fn tell(&mut self) -> Outcome {
        self.input.write_all(b"crash\n").doing("a crasher has gone")
    }

    /// Waits for its end. What it said is read after that, so that nobody is woken before.
    pub fn wait(mut self) -> Outcome<End> {
        let usage = os::wait(self.child).doing("a crasher cannot be waited for")?;
        let at = os::monotonic();
        if usage.signal != os::CRASH_SIGNAL {
            return Err(format!("a crasher ended with signal {} instead of its own", usage.signal).into());
        }
        let line = line(&mut self.output)?;
        let crashed: u64 = line.parse().map_err(|_| format!("a crasher says '{line}'"))?;
        let crashed = Duration::from_nanos(crashed);
        Ok(End { took: at.saturating_sub(crashed), crashed, at })
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> Outcome<String> {
    let mut line = String::new();
    output.read_line(&mut line).doing("a crasher cannot be read")?;
    Ok(line.trim_end().to_owned())
}
