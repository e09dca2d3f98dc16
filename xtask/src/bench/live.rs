//! The harness's end of a running target.

use super::{case::Case, sampler::Gaps};
use crate::shell::{Doing, Outcome};
use std::{
    collections::HashSet,
    env,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

/// A running `bench-target`; it is ended when this is dropped.
pub struct Target {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Threads it has.
    pub threads: usize,
}

impl Target {
    /// Starts a target of this shape and waits until it has taken it.
    pub fn start(case: &Case) -> Outcome<Self> {
        let program = env::current_exe().doing("where is this program?")?;
        let mut command = Command::new(program);
        command.arg("bench-target").args(case.arguments()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().doing("could not start the bench target")?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the bench target was started without pipes".into());
        };
        let mut target = Self { child, input, output: BufReader::new(output), threads: case.threads };
        target.expect("ready")?;
        Ok(target)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The ids of its threads.
    pub fn thread_ids(&self) -> Outcome<HashSet<u32>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).doing("the bench target is gone")?;
        Ok(tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect())
    }

    /// How many mappings it has.
    pub fn mappings(&self) -> Outcome<usize> {
        let maps = File::open(format!("/proc/{}/maps", self.pid())).doing("the bench target is gone")?;
        Ok(BufReader::new(maps).lines().count())
    }

    /// Begins a measurement.
    pub fn start_sampling(&mut self) -> Outcome {
        self.say("start")?;
        self.expect("sampling")
    }

    /// Ends the measurement begun last.
    pub fn stop_sampling(&mut self) -> Outcome<Gaps> {
        self.say("stop")?;
        let line = self.hear()?;
        gaps(&line).ok_or_else(|| format!("the bench target answered '{line}'").into())
    }

    fn say(&mut self, line: &str) -> Outcome {
        writeln!(self.input, "{line}").doing("the bench target is gone")
    }

    fn hear(&mut self) -> Outcome<String> {
        let mut line = String::new();
        let bytes = self.output.read_line(&mut line).doing("the bench target is gone")?;
        if bytes == 0 { Err("the bench target ended early".into()) } else { Ok(line.trim_end().to_owned()) }
    }

    fn expect(&mut self, wanted: &str) -> Outcome {
        let line = self.hear()?;
        if line == wanted {
            Ok(())
        } else {
            Err(format!("the bench target said '{line}', not '{wanted}'").into())
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have been left stopped by a dumper that failed; killing works in every state.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gaps(line: &str) -> Option<Gaps> {
    let (largest, sum) = line.split_once(' ')?;
    Some(Gaps {
        largest: Duration::from_nanos(largest.parse().ok()?),
        sum: Duration::from_nanos(sum.parse().ok()?),
    })
}
