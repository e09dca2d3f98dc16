//! How a process gives the handler the right to its task.
//!
//! Over a pair of pipes (or a socket) between the two, which the one made that started the other:
//!
//! 1. the process writes its [`Account`],
//! 2. the handler checks in with the bootstrap server under a name made at random, and writes the name and a secret,
//! 3. the process looks the name up, and sends the right to its task with the secret to the port it found,
//! 4. the handler compares secret and sender, and writes one byte.
//!
//! Each wait has a deadline. A program that guesses or sees the name does not know the secret, and has another process id.

use super::account::Account;
use super::hand_over_message::{HandOver, PreviousHandler, SECRET};
use super::message::Sender;
use super::rights::{ReceiveRight, SendRight};
use super::sys::{self, MachError};
use super::{TakenOver, pipe};
use crate::protocol::Malformed;
use std::ffi::{CStr, CString};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What the handler writes when it has the right.
const RECEIVED: &[u8] = b"+";
/// The longest name (BOOTSTRAP_MAX_NAME_LEN).
const MOST_NAME: usize = 127;

/// Why no right was handed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandOverError {
    /// The other process does not answer, or has gone.
    #[error("the other process does not answer: {0}")]
    Pipe(#[from] io::Error),
    /// The other process says something that is no message.
    #[error("the other process sent no message of this protocol: {0}")]
    Malformed(#[from] Malformed),
    /// Mach or the bootstrap server refused.
    #[error(transparent)]
    Mach(#[from] MachError),
    /// A name or a secret could not be made, or is none.
    #[error("there is no usable name for the port")]
    Name,
    /// The right did not come in time.
    #[error("the right to the task did not come in time")]
    Silent,
    /// Somebody else than the process at the pipe sent a right.
    #[error("process {pid} of user {euid} sent a right, and is not the process at the pipe")]
    Stranger {
        /// The sender.
        pid: i32,
        /// Its user.
        euid: u32,
    },
}

/// The process's end.
#[derive(Debug)]
pub struct Client {
    /// Who gets the exceptions from now on.
    pub handler: SendRight,
    /// Whom to give them back to.
    pub taken_over: Option<TakenOver>,
}

/// Gives the right to this process's task to the handler at the other end. With `exceptions`, that becomes the handler of this
/// process's crashes, too.
///
/// # Errors
/// The handler does not answer by `patience`, or a call is refused. Nothing is changed then.
pub fn hand_over(
    pipe: &mut (impl Read + Write + AsFd),
    account: &Account,
    exceptions: bool,
    patience: Duration,
) -> Result<Client, HandOverError> {
    let deadline = Instant::now() + patience;
    pipe::put(pipe, &account.encode(), deadline)?;
    let told = pipe::take(pipe, deadline)?;
    let (secret, name) = told.split_first_chunk::<SECRET>().ok_or(HandOverError::Name)?;
    let name = CStr::from_bytes_with_nul(name).map_err(|_| HandOverError::Name)?;
    if name.count_bytes() > MOST_NAME {
        return Err(HandOverError::Name);
    }
    let handler = sys::look_up(name)?;
    let taken_over = if exceptions { Some(super::take_over(&handler)?) } else { None };
    let previous = taken_over.as_ref().map(|taken| taken.previous().to_vec()).unwrap_or_default();
    let hand_over = HandOver { task: sys::own_task(), secret: *secret, previous };
    let mut message = hand_over.write(handler.port()).ok_or(HandOverError::Name)?;
    let sent = sys::send(&mut message, deadline.saturating_duration_since(Instant::now()));
    let confirmed = sent.map_err(HandOverError::from).and_then(|()| Ok(pipe::take(pipe, deadline)?));
    match confirmed {
        Ok(answer) if answer == RECEIVED => Ok(Client { handler, taken_over }),
        Ok(_) => Err(HandOverError::Silent),
        Err(error) => Err(error),
    }
}

/// What the handler has of a process.
#[derive(Debug)]
pub struct Received {
    /// The right to its task.
    pub task: SendRight,
    /// Its account.
    pub account: Account,
    /// Its handlers from before, whose rights are kept as long as this value.
    pub previous: Vec<(PreviousHandler, SendRight)>,
    /// Where its exceptions come.
    pub port: ReceiveRight,
    /// Who it is, by the kernel's word.
    pub sender: Sender,
}

/// Takes the right to the task of the process `expected` at the other end of `pipe`. `prefix` begins the name of the port: a
/// sandboxed process can look up only names that begin with one of its application groups.
///
/// # Errors
/// It does not come by `patience`, or from somebody else.
pub fn receive(
    pipe: &mut (impl Read + Write + AsFd),
    expected: i32,
    prefix: &str,
    patience: Duration,
) -> Result<Received, HandOverError> {
    let deadline = Instant::now() + patience;
    let account = Account::decode(&pipe::take(pipe, deadline)?)?;
    let secret = sys::random::<SECRET>().ok_or(HandOverError::Name)?;
    let name = name(prefix)?;
    let port = sys::check_in(&name)?;
    pipe::put(pipe, &[&secret, name.as_bytes_with_nul()].concat(), deadline)?;
    let (hand_over, sender) = wait_for(&port, deadline)?;
    // All rights that came, before anything is refused: they are given back then.
    let owned = |handler: PreviousHandler| Some((handler, SendRight::owning(handler.port)?));
    let previous = hand_over.previous.into_iter().filter_map(owned).collect();
    let task = SendRight::owning(hand_over.task).ok_or(HandOverError::Silent)?;
    if sender.pid != expected || hand_over.secret != secret {
        return Err(HandOverError::Stranger { pid: sender.pid, euid: sender.euid });
    }
    pipe::put(pipe, RECEIVED, deadline)?;
    Ok(Received { task, account, previous, port, sender })
}

/// The first message of the right kind.
fn wait_for(port: &ReceiveRight, deadline: Instant) -> Result<(HandOver, Sender), HandOverError> {
    let mut buffer = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HandOverError::Silent);
        }
        let Some(received) = sys::receive(port, &mut buffer, left)? else { continue };
        match HandOver::read(received) {
            Some(found) => return Ok(found),
            None => sys::destroy(received),
        }
    }
}

fn name(prefix: &str) -> Result<CString, HandOverError> {
    let random = sys::random::<16>().ok_or(HandOverError::Name)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{prefix}minidump-handler.{digits}");
    if name.len() > MOST_NAME {
        return Err(HandOverError::Name);
    }
    CString::new(name).map_err(|_| HandOverError::Name)
}
