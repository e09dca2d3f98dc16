//! The target, seen from the tests.

use crate::child::SWITCH;
use crash_context::CrashContext;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A process with a thread that crashed. It ends with this.
pub struct Target {
    process: Child,
    facts: Vec<Vec<String>>,
}

impl Target {
    /// Starts it and waits for its crash.
    pub fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child::target", "--nocapture", "--test-threads=1"])
            .env(SWITCH, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let words = |line: String| line.split_whitespace().map(String::from).collect::<Vec<_>>();
        let facts = lines.take_while(|line| line != "ready").map(words).collect();
        let target = Self { process, facts };
        assert_eq!(target.fact("crash").len(), 4, "{:?}", target.facts);
        target
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The numbers that it reported as `name`.
    pub fn fact(&self, name: &str) -> Vec<u64> {
        let fact = self.facts.iter().find(|fact| fact.first().is_some_and(|first| first == name));
        fact.unwrap_or_else(|| panic!("no {name} in {:?}", self.facts))[1..]
            .iter()
            .map(|number| number.parse().unwrap())
            .collect()
    }

    /// The crash context of `thread` with the exception pointers `pointers`.
    pub fn crash_context(&self, thread: u64, pointers: u64, code: u32) -> CrashContext {
        CrashContext {
            exception_pointers: std::ptr::without_provenance(usize::try_from(pointers).unwrap()),
            exception_code: code.cast_signed(),
            process_id: self.pid(),
            thread_id: u32::try_from(thread).unwrap(),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
