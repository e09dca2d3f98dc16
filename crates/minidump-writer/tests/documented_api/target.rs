//! Starts the process to dump.

use crate::child::SWITCH;
use minidump_writer::minidump_writer::MinidumpWriter;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A thread of the target.
#[derive(Debug, Clone, Copy)]
pub struct Thread {
    /// Its id.
    pub id: i32,
    /// Where the words of its innermost frame lie.
    pub words: u64,
}

/// A running target. It ends when this goes.
pub struct Target {
    process: Child,
    facts: Vec<Vec<String>>,
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Target {
    /// Starts it, and waits until all its threads are where they stay.
    pub fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child::target", "--exact", "--ignored", "--nocapture"]).env(SWITCH, "1");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let words = |line: String| line.split(' ').map(str::to_owned).collect();
        let facts: Vec<Vec<String>> = lines.take_while(|line| line != "ready").map(words).collect();
        Self { process, facts }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    /// What the target said under `name`.
    pub fn facts(&self, name: &str) -> Vec<&[String]> {
        let found = self.facts.iter().filter(|fact| fact[0] == name).map(|fact| &fact[1..]);
        let found: Vec<_> = found.collect();
        assert!(!found.is_empty(), "no {name} in {:?}", self.facts);
        found
    }

    /// The address of a mapping.
    pub fn address(&self, name: &str) -> usize {
        self.facts(name)[0][0].parse().unwrap()
    }

    /// Threads of one kind.
    pub fn threads(&self, name: &str) -> Vec<Thread> {
        let thread =
            |fact: &[String]| Thread { id: fact[0].parse().unwrap(), words: fact[1].parse().unwrap() };
        self.facts(name).into_iter().map(thread).collect()
    }

    /// A dump of it that blames its main thread.
    pub fn writer(&self) -> MinidumpWriter {
        MinidumpWriter::new(self.pid(), self.pid())
    }
}
