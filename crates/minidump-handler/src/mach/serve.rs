//! The handler of one process, from the hand-over to the process's end.

use super::account::Account;
use super::dump::{DumpError, dump_crashed, dump_on_demand};
use super::exceptions::answer_exceptions;
use super::hand_over::{HandOverError, receive};
use super::pipe;
use crate::store::Store;
use minidump_writer::DumpOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the hand-over, and each message, may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an answer begins with: there is a dump, at the path that follows; or there is none, for the reason that follows.
pub(super) const DONE: u8 = b'+';
pub(super) const FAILED: u8 = b'-';

/// Takes over the process at the other end of `pipe`, whose id is `process`, and writes a dump into `store` whenever it crashes or
/// asks for one, until it has gone. `told` hears of each. `prefix` is that of [`receive`].
///
/// A process that crashes waits in the kernel while it is dumped; one that asks waits for the answer.
///
/// # Errors
/// The process hands nothing over, or its port cannot be received from.
pub fn serve(
    pipe: &mut (impl Read + Write + AsFd),
    process: i32,
    prefix: &str,
    options: &DumpOptions,
    store: &Store,
    mut told: impl FnMut(&Result<PathBuf, DumpError>),
) -> Result<(), HandOverError> {
    let received = receive(pipe, process, prefix, PATIENCE)?;
    loop {
        answer_exceptions(&received, pipe, |crashed| {
            told(&dump_crashed(&received, crashed, options, store))
        })?;
        let message = match pipe::take(pipe, Instant::now() + PATIENCE) {
            Ok(message) => message,
            Err(error) if is_end(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let account = Account::decode(&message)?;
        let dumped = dump_on_demand(&received, &account, options, store);
        told(&dumped);
        pipe::put(pipe, &answer(&dumped), Instant::now() + PATIENCE)?;
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

fn answer(dumped: &Result<PathBuf, DumpError>) -> Vec<u8> {
    let (first, text) = match dumped {
        Ok(path) => (DONE, path.display().to_string()),
        Err(error) => (FAILED, error.to_string()),
    };
    [&[first], text.as_bytes()].concat()
}
