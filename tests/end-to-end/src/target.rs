//! A running crasher.

use crate::process::{DEADLINE, Guarded};
use crate::programs;
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A running crasher that has reported its facts. It is killed when the guard goes.
#[derive(Debug)]
pub struct Target {
    guarded: Guarded,
    input: ChildStdin,
    lines: Receiver<String>,
    /// What it reported.
    pub facts: Value,
}

impl Target {
    /// Starts a scenario and waits for its facts.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self::start_program(programs::crasher(), arguments)
    }

    /// Starts a scenario of the crasher at `program`.
    #[track_caller]
    pub fn start_program<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Self {
        Self::start_command(Command::new(program).args(arguments))
    }

    /// Starts a command line that ends in a crasher.
    #[track_caller]
    pub fn start_command(command: &mut Command) -> Self {
        let mut guarded = Guarded::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let input = guarded.child().stdin.take().unwrap();
        let output = BufReader::new(guarded.child().stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
        let mut target = Self { guarded, input, lines, facts: Value::Null };
        target.facts = target.next_line();
        target
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.guarded.pid()
    }

    /// Sends a command and returns the answer.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> Value {
        self.tell(command);
        self.next_line()
    }

    /// Sends a command.
    #[track_caller]
    pub fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}")
            .unwrap_or_else(|error| panic!("the target does not listen: {error}"));
    }

    /// The next line that it prints.
    #[track_caller]
    pub fn next_line(&mut self) -> Value {
        let line = self.lines.recv_timeout(DEADLINE);
        let line = line.unwrap_or_else(|error| panic!("no line from the target {}: {error}", self.pid()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.guarded.wait("the target")
    }

    /// A number among its facts.
    #[track_caller]
    pub fn number(&self, key: &str) -> u64 {
        number(&self.facts, key)
    }

    /// A thread id among its facts.
    #[track_caller]
    pub fn tid(&self, key: &str) -> u32 {
        self.number(key).try_into().unwrap()
    }

    /// The parked threads that it reported.
    #[track_caller]
    pub fn parked(&self) -> Vec<Parked> {
        parked(&self.facts)
    }
}

/// The parked threads that a crasher tells of.
#[track_caller]
pub fn parked(facts: &Value) -> Vec<Parked> {
    let threads = facts["threads"].as_array().expect("the scenario has parked threads");
    threads.iter().map(Parked::new).collect()
}

/// A thread that waits in the known call chain.
#[derive(Debug)]
pub struct Parked {
    /// Its id.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// Its frames, innermost first: function, address of the known bytes, the bytes.
    pub frames: Vec<(String, u64, Vec<u8>)>,
}

impl Parked {
    fn new(facts: &Value) -> Self {
        let frames = facts["frames"].as_array().unwrap().iter().map(|frame| {
            let (address, bytes) = pattern(frame);
            (frame["function"].as_str().unwrap().to_owned(), address, bytes)
        });
        let tid = number(facts, "tid").try_into().unwrap();
        Self { tid, name: facts["name"].as_str().unwrap().to_owned(), frames: frames.collect() }
    }
}

/// The number `key` of a JSON object.
#[track_caller]
pub fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {object}"))
}

/// Address and bytes of a pattern in JSON.
#[track_caller]
pub fn pattern(object: &Value) -> (u64, Vec<u8>) {
    (number(object, "address"), bytes(object))
}

/// The bytes of a JSON object that has them as hexadecimal digits.
#[track_caller]
pub fn bytes(object: &Value) -> Vec<u8> {
    let digits = object["bytes"].as_str().unwrap();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
