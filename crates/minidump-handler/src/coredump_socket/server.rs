//! Accepts connections of the kernel, and hands each to a process of its own.

use super::Peer;
use super::children::{Children, PAUSE};
use super::idle::give_back_program_memory;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Child;

/// How often a process is tried to be started where the system is short of something: for about ten seconds.
const ATTEMPTS: u32 = 100;

/// Serves `listener`. `start` starts the process that takes care of a connection; it must own the connection alone when
/// this returns. No more than `most` run at a time; further crashed processes wait in the queue. `tell` gets a sentence
/// for each crash that is lost. A peer whose core is not being taken is turned away at once, unheard.
///
/// Nothing is kept between crashes: no thread, no process, and of the program's file only what the waiting needs.
///
/// Returns only when that can no longer be done.
pub fn serve(
    listener: &UnixListener,
    most: usize,
    start: &mut dyn FnMut(&UnixStream) -> io::Result<Child>,
    tell: &mut dyn FnMut(&str),
) -> io::Error {
    let mut children = Children::default();
    if let Err(error) = listener.set_nonblocking(true) {
        return error;
    }
    let mut has_worked = true;
    loop {
        if std::mem::replace(&mut has_worked, children.len() > 0) && children.len() == 0 {
            give_back_program_memory();
        }
        let free = Some(listener).filter(|_| children.len() < most);
        let done = children.wait(free, None).and_then(|is_ready| match free.filter(|_| is_ready) {
            Some(listener) => accept(listener, &mut children, start, tell),
            None => Ok(()),
        });
        if let Err(error) = done {
            return error;
        }
    }
}

fn accept(
    listener: &UnixListener,
    children: &mut Children,
    start: &mut dyn FnMut(&UnixStream) -> io::Result<Child>,
    tell: &mut dyn FnMut(&str),
) -> io::Result<()> {
    let connection = match listener.accept() {
        Ok((connection, _)) => connection,
        Err(error) if is_of_this_connection(&error) => return Ok(()),
        Err(error) if is_shortage(&error) => return children.wait(None, Some(PAUSE)).map(drop),
        Err(error) => return Err(error),
    };
    let Ok(Some(peer)) = Peer::of(&connection) else { return Ok(()) };
    for _ in 0..ATTEMPTS {
        match start(&connection) {
            Ok(child) => {
                children.add(child);
                return Ok(());
            }
            Err(error) if is_shortage(&error) => drop(children.wait(None, Some(PAUSE))?),
            Err(error) => {
                tell(&format!("process {} is not dumped: {error}", peer.pid));
                return Ok(());
            }
        }
    }
    tell(&format!("process {} is not dumped: no process can be started for it", peer.pid));
    Ok(())
}

fn is_of_this_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    matches!(error.kind(), ConnectionAborted | Interrupted | WouldBlock)
}

/// Whether it may be otherwise when some process has ended.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|number| shortages.contains(&number))
}
