//! In the process to protect: starts a handler, hands over, asks for dumps.

use super::account::Account;
use super::hand_over::{Client, HandOverError, hand_over};
use super::pipe;
use super::serve::DONE;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the hand-over may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a dump may take.
const DUMP_PATIENCE: Duration = Duration::from_secs(300);

/// The protection of this process. When it goes, so does the handler, and who handled crashes before does so again.
#[derive(Debug)]
pub struct Protection {
    /// Gives the exceptions back before the handler goes.
    client: Option<Client>,
    pipe: Option<UnixStream>,
    /// Each answer so far was that to the last question.
    is_in_step: bool,
    handler: Child,
}

impl Protection {
    /// Starts `handler`, a program that calls [`serve`](super::serve) with its standard input, as `minidump-writer handler --client`
    /// does, and makes it the handler of this process's crashes. `account` tells it who this is.
    ///
    /// # Errors
    /// It cannot be started, or takes nothing over within ten seconds. Nothing is changed then.
    pub fn start(mut handler: Command, account: &Account) -> Result<Self, HandOverError> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut handler = handler.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        let mut pipe = ours;
        match hand_over(&mut pipe, account, true, PATIENCE) {
            Ok(client) => Ok(Self { client: Some(client), pipe: Some(pipe), is_in_step: true, handler }),
            Err(error) => {
                drop(pipe);
                let _ = handler.kill();
                let _ = handler.wait();
                Err(error)
            }
        }
    }

    /// Has this process dumped, which goes on afterwards: for no crash, or for one that `account` describes, as a handler of the
    /// process's own saw it. Returns where the dump is.
    ///
    /// # Errors
    /// The handler has gone, does not answer, or could not write a dump. One that did not answer is not asked again, but goes on
    /// handling crashes.
    pub fn dump(&mut self, account: &Account) -> io::Result<PathBuf> {
        let pipe = self.pipe.as_mut().filter(|_| self.is_in_step).ok_or(io::ErrorKind::NotConnected)?;
        // What comes too late would be taken for the answer to the next question.
        self.is_in_step = false;
        pipe::put(pipe, &account.encode(), Instant::now() + PATIENCE)?;
        let answer = pipe::take(pipe, Instant::now() + DUMP_PATIENCE)?;
        self.is_in_step = true;
        let (first, text) = answer.split_first().ok_or(io::ErrorKind::InvalidData)?;
        let text = String::from_utf8_lossy(text).into_owned();
        if *first == DONE { Ok(text.into()) } else { Err(io::Error::other(text)) }
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        self.client = None;
        // The handler ends with the connection, whose other end goes with it.
        let ended = self.pipe.take().is_some_and(|mut pipe| {
            pipe.shutdown(Shutdown::Write).is_ok() && pipe::ends(&mut pipe, Instant::now() + PATIENCE)
        });
        if !ended {
            let _ = self.handler.kill();
        }
        let _ = self.handler.wait();
    }
}
