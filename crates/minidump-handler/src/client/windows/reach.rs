//! How the handler is reached: it is started, or runs already; and the program registers with it.

use super::mailbox::MAILBOX;
use super::start::Program;
use crate::client::InstallError;
use crate::protocol::Reply;
use crate::protocol::windows::{Hello, Registered, Registration};
use crate::windows::pipe::{self, Instance, Pipe};
use crate::windows::security::Descriptor;
use crate::windows::{pipe_name, random};
use std::ffi::OsString;
use std::io;
use std::os::windows::io::AsHandle as _;
use std::time::Duration;

/// How long a handler may take to begin, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the handler comes from.
#[derive(Debug)]
pub enum Source {
    /// This program starts it.
    Started(Program),
    /// It has a pipe of this name.
    Listens(OsString),
}

/// A handler with which this program is registered.
#[derive(Debug)]
pub struct Reached {
    pub pipe: Pipe,
    pub registered: Registered,
    /// Its process id.
    pub pid: u32,
}

impl Source {
    /// Starts the handler, or connects to it, and registers.
    pub fn reach(&self) -> Result<Reached, InstallError> {
        match self {
            Self::Started(program) => {
                start(program).map_err(|source| InstallError::Start { program: program.path.clone(), source })
            }
            Self::Listens(name) => {
                connect(name).map_err(|source| InstallError::Connect { path: name.into(), source })
            }
        }
    }
}

/// Starts a handler on a pipe that this program makes itself, and of which nobody else knows the name.
fn start(program: &Program) -> io::Result<Reached> {
    let name = pipe_name::of_random(random::bytes()?);
    let theirs = pipe::create(&name, Instance::Only, &Descriptor::of_pipe(false)?)?;
    let mut pipe = Pipe::new(pipe::open(&name, PATIENCE)?)?;
    if pipe.client().is_ok_and(|pid| pid != std::process::id()) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another process has taken the pipe"));
    }
    pipe::set_inherited(theirs.as_handle(), true)?;
    let pid = program.start(theirs.as_handle())?;
    // The handler's is the only one then, so that its end is seen.
    drop(theirs);
    let registered = register(&mut pipe)?;
    Ok(Reached { pipe, registered, pid })
}

/// Connects to a handler that has a pipe of its own.
fn connect(name: &OsString) -> io::Result<Reached> {
    let mut pipe = Pipe::new(pipe::open(name, PATIENCE)?)?;
    if !pipe.is_trustworthy()? {
        let why = "the pipe was made by another user, who is neither the system nor an administrator";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let pid = pipe.server()?;
    let registered = register(&mut pipe)?;
    Ok(Reached { pipe, registered, pid })
}

/// Registers with the handler at the other end.
fn register(pipe: &mut Pipe) -> io::Result<Registered> {
    let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let hello = Hello::decode(pipe.receive(PATIENCE)?).map_err(malformed)?;
    MAILBOX.answer(hello.challenge);
    pipe.send(&Registration { mailbox: MAILBOX.address() }.encode(), PATIENCE)?;
    let answer = pipe.receive(PATIENCE)?;
    Registered::decode(answer).map_err(|error| match Reply::decode(answer) {
        Ok(reply) => io::Error::other(format!("it refused: {}", reply.text)),
        Err(_) => malformed(error),
    })
}
