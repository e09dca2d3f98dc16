//! The crash matrix: programs that die, and what has to be in their dumps, whichever way these came about.
//!
//! A [`Crash`] is a row: a command, how it ends, and what is known of the crash. A [`Way`] is a column: it runs the
//! command so that dumps of it appear in a directory. [`check`] fills columns of the given rows.

mod compiled;
mod dumped;
mod system_wide;
mod way;

pub use compiled::{Compiled, compiled};
pub use way::{Outcome, Way, dump_files, end_by_code};

use crate::programs;
use crate::target::number;
use serde_json::Value;
use std::any::Any;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What the dump has to tell of where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What the program said beforehand, if it did.
    AsTold,
    /// The instruction that faulted.
    Instruction,
}

/// The state of the stack of the thread that crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// The stack pointer points into it.
    Sound,
    /// The stack pointer points at nothing.
    Lost,
    /// It has run over. Where the program told of known bytes at its far end, these are in the dump.
    Overflowed,
}

/// A row of the matrix.
#[derive(Clone, Debug)]
pub struct Crash {
    command: Vec<OsString>,
    threads: &'static [&'static str],
    end: End,
    signal: i32,
    dumps: usize,
    function: String,
    place: Place,
    stack: Stack,
    ids_are_foreign: bool,
    lost_by: &'static [Way],
    client_sees: Option<i32>,
}

impl Crash {
    /// `crasher crash KIND`, on the main thread and on another one, which `signal` kills in `crash_here_KIND`.
    pub fn of(kind: &str, signal: i32) -> Self {
        let command = [programs::crasher().as_os_str(), "crash".as_ref(), kind.as_ref()];
        Self::command(command, kind, signal)
    }

    /// As [`Crash::of`], of a program of another language: `PROGRAM KIND`.
    pub fn of_program(program: &Path, kind: &str, signal: i32) -> Self {
        Self::command([program.as_os_str(), kind.as_ref()], kind, signal)
    }

    /// Any command line, to which the name of a thread is added.
    pub fn command<S: Into<OsString>>(words: impl IntoIterator<Item = S>, kind: &str, signal: i32) -> Self {
        Self {
            command: words.into_iter().map(Into::into).collect(),
            threads: &["main", "thread"],
            end: End::Signal(signal),
            signal,
            dumps: 1,
            function: format!("crash_here_{}", kind.replace('-', "_")),
            place: Place::AsTold,
            stack: Stack::Sound,
            ids_are_foreign: false,
            lost_by: &[],
            client_sees: None,
        }
    }

    /// On the main thread only.
    pub fn on_main(self) -> Self {
        Self { threads: &["main"], ..self }
    }

    /// The command ends so, though something crashed.
    pub fn ends(self, end: End) -> Self {
        Self { end, ..self }
    }

    /// So many processes crash.
    pub fn dumps(self, dumps: usize) -> Self {
        Self { dumps, ..self }
    }

    /// The address of the exception is another one than what the program tells.
    pub fn place(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// The stack is in this state.
    pub fn stack(self, stack: Stack) -> Self {
        Self { stack, ..self }
    }

    /// The ids that the program tells are those of another namespace.
    pub fn ids_are_foreign(self) -> Self {
        Self { ids_are_foreign: true, ..self }
    }

    /// There is no dump by these ways.
    pub fn lost_by(self, lost_by: &'static [Way]) -> Self {
        Self { lost_by, ..self }
    }

    /// The client, whose handler is called before the program's own, tells of this signal instead.
    pub fn client_sees(self, signal: i32) -> Self {
        Self { client_sees: Some(signal), ..self }
    }

    fn check(&self, way: Way, thread: &str) {
        let mut command = self.command.clone();
        command.push(thread.into());
        let alone = way::alone(&command);
        assert_eq!(alone, self.end, "how the program ends alone");
        let outcome = way.run(&command);
        assert_eq!(outcome.end, self.end, "how the program ends; standard error:\n{}", outcome.stderr);
        let found = outcome.dumps.len();
        let dumps = if self.lost_by.contains(&way) { 0 } else { self.dumps };
        assert_eq!(found, dumps, "number of dumps; standard error:\n{}", outcome.stderr);
        let mut told = outcome.facts;
        let row = Self {
            signal: self.client_sees.filter(|_| way == Way::Client).unwrap_or(self.signal),
            ..self.clone()
        };
        for dump in &outcome.dumps {
            told.remove(dumped::check(&row, dump, &told));
        }
    }
}

/// Fills columns: every row on every thread, and fails with a list of those that are not as they should be. Ways that
/// this user may not go are left out.
///
/// # Panics
/// When one of them is not.
pub fn check(ways: &[Way], rows: impl IntoIterator<Item = Crash>) {
    let mut failures = Vec::new();
    let ways: Vec<Way> = ways.iter().copied().filter(|way| way.is_open()).collect();
    for row in rows {
        for (way, thread) in ways.iter().flat_map(|way| row.threads.iter().map(move |thread| (*way, thread)))
        {
            if let Err(why) = catch_unwind(AssertUnwindSafe(|| row.check(way, thread))) {
                let words: Vec<_> = row.command.iter().skip(1).map(|word| word.to_string_lossy()).collect();
                failures.push(format!("{way:?}: {} on {thread}: {}", words.join(" "), sentence(&*why)));
            }
        }
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn sentence(why: &(dyn Any + Send)) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

/// The thread that `facts` tell of.
fn told_thread(facts: &Value) -> u32 {
    number(facts, "tid").try_into().unwrap()
}
