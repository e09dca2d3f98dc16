//! How the program ends: the exit codes and the sentence that goes with them.

use crate::text;
use std::io;
use std::process::ExitCode;

/// An exit code: what a process can end with here.
#[cfg(not(windows))]
pub type Code = u8;
/// An exit code: what a process can end with here.
#[cfg(windows)]
pub type Code = u32;

/// The work is done.
pub const DONE: Code = 0;
/// The work failed; standard error says why.
pub const FAILED: Code = 1;
/// The command line makes no sense; standard error says why.
pub const USAGE: Code = 2;

/// Why the program ends without having done its work.
#[derive(Debug)]
pub enum Failure {
    /// The command line cannot be followed, or asks for the help text.
    Usage(clap::Error),
    /// One sentence: what failed and what to do about it.
    Failed(String),
    /// One sentence, and an exit code of its own.
    #[cfg_attr(
        not(any(windows, all(target_os = "linux", target_arch = "x86_64"))),
        expect(dead_code, reason = "of `run`")
    )]
    OfCommand {
        /// The code.
        code: Code,
        /// What failed and what to do about it.
        sentence: String,
    },
    /// The reader of the standard output has gone. It knows, so there is nothing to tell.
    ReaderGone,
}

impl Failure {
    /// A failure of writing to the standard output.
    pub fn of_output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::Failed(format!("cannot write to the standard output: {error}; send it elsewhere"))
    }
}

/// Tells what went wrong and gives the exit code. Work that is done has one of its own.
pub fn report(result: Result<Code, Failure>) -> ExitCode {
    ended(match result {
        Ok(code) => code,
        Err(Failure::ReaderGone) => DONE,
        Err(Failure::OfCommand { code, sentence }) => {
            text::complain("error", &sentence);
            code
        }
        Err(Failure::Failed(sentence)) => {
            text::complain("error", &sentence);
            FAILED
        }
        Err(Failure::Usage(error)) => {
            // Help and version go to the standard output and are no failure.
            let wrong = error.use_stderr();
            match error.print() {
                Ok(()) if !wrong => DONE,
                Err(error) if !wrong && error.kind() != io::ErrorKind::BrokenPipe => FAILED,
                _ if wrong => USAGE,
                _ => DONE,
            }
        }
    })
}

#[cfg(not(windows))]
fn ended(code: Code) -> ExitCode {
    ExitCode::from(code)
}

/// The standard library has no `ExitCode` of 32 bits.
#[cfg(windows)]
fn ended(code: Code) -> ExitCode {
    match u8::try_from(code) {
        Ok(code) => ExitCode::from(code),
        Err(_) => std::process::exit(code.cast_signed()),
    }
}
