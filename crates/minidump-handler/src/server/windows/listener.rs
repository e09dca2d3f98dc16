//! A pipe of a name, and the programs that come to it.

use super::connection::{self, Shared};
use super::peer::Peer;
use crate::windows::event::{Waited, wait};
use crate::windows::operation::Operation;
use crate::windows::pipe::{self, Instance, Pipe};
use crate::windows::pipe_name;
use crate::windows::security::{self, Descriptor};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::io::{AsHandle as _, OwnedHandle};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Programs that are served at a time, and those of one other user.
const MOST_CONNECTIONS: usize = 1024;
const MOST_OF_USER: usize = 128;
/// Bytes of the stack of a connection's thread; dumps are taken on others.
const STACK: usize = 256 << 10;
/// Before it is tried again to make an end of the pipe, or to wait for a client.
const PAUSE: Duration = Duration::from_millis(200);

/// The end of the pipe that the next program will get, and what others are made with.
#[derive(Debug)]
pub struct Listener {
    name: OsString,
    descriptor: Descriptor,
    next: OwnedHandle,
}

impl Listener {
    /// Makes the pipe, whose name must be free.
    pub fn new(name: &OsStr, for_all: bool) -> io::Result<Self> {
        let name = pipe_name::whole(name)?;
        let descriptor = Descriptor::of_pipe(for_all)?;
        let next = pipe::create(&name, Instance::First, &descriptor)?;
        Ok(Self { name, descriptor, next })
    }

    /// Serves those who come, until the server is stopped.
    pub fn run(self, shared: &Shared<'_>) -> io::Result<()> {
        let guests = Guests::new()?;
        let mut next = Arc::new(self.next);
        std::thread::scope(|scope| {
            loop {
                if !await_client(&next, shared)? {
                    return Ok(());
                }
                // Before the client is served, so that the name is never free.
                let Some(another) = another(&self.name, &self.descriptor, shared) else { return Ok(()) };
                let client = std::mem::replace(&mut next, Arc::new(another));
                let (Some(handle), Some(guest)) = (Arc::into_inner(client), guests.enter()) else { continue };
                let serve = move || {
                    if let Ok(pipe) = Pipe::new(handle) {
                        connection::serve(pipe, shared, |peer| guest.name(peer));
                    }
                };
                let thread = std::thread::Builder::new().name("program".into()).stack_size(STACK);
                // Without a thread, the connection ends here, and the program tries again later.
                let _ = thread.spawn_scoped(scope, serve);
            }
        })
    }
}

/// Waits for a client at this end of the pipe. `false` when the server is stopped first.
fn await_client(end: &Arc<OwnedHandle>, shared: &Shared<'_>) -> io::Result<bool> {
    let mut connecting = Operation::new(end, 0)?;
    loop {
        // One that came and went already is an error, too: then this end begins anew.
        let came = connecting.connect().is_ok();
        let handles = [shared.stop.as_handle(), connecting.finished()];
        match wait(handles, if came { None } else { Some(PAUSE) }) {
            Waited::For(1) if connecting.finish().is_ok() => return Ok(true),
            Waited::For(1) | Waited::TooLong => pipe::disconnect(end.as_handle()),
            _ => return Ok(false),
        }
    }
}

/// Makes an end of the pipe for the next program, trying until the system has what it needs. `None` when the server is
/// stopped first.
fn another(name: &OsStr, descriptor: &Descriptor, shared: &Shared<'_>) -> Option<OwnedHandle> {
    loop {
        if let Ok(end) = pipe::create(name, Instance::Another, descriptor) {
            return Some(end);
        }
        if wait([shared.stop.as_handle()], Some(PAUSE)) != Waited::TooLong {
            return None;
        }
    }
}

/// Who is served now.
#[derive(Debug, Clone)]
struct Guests {
    own_user: String,
    present: Arc<Mutex<Present>>,
}

#[derive(Debug, Default)]
struct Present {
    all: usize,
    strangers: HashMap<String, usize>,
}

impl Guests {
    fn new() -> io::Result<Self> {
        Ok(Self { own_user: security::own_user()?, present: Arc::default() })
    }

    /// Counts one more, unless there are too many.
    fn enter(&self) -> Option<Guest> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.all >= MOST_CONNECTIONS {
            return None;
        }
        present.all = present.all.saturating_add(1);
        Some(Guest { guests: self.clone(), stranger: Mutex::default() })
    }
}

/// One that is counted.
#[derive(Debug)]
struct Guest {
    guests: Guests,
    /// Its user, where that is not the server's.
    stranger: Mutex<Option<String>>,
}

impl Guest {
    /// Looks whose it is. Whether that user has not too many already.
    fn name(&self, peer: &Peer) -> bool {
        let Ok(user) = peer.user() else { return false };
        if user == self.guests.own_user {
            return true;
        }
        let mut present = self.guests.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.strangers.entry(user.clone()).or_default();
        if *count >= MOST_OF_USER {
            return false;
        }
        *count = count.saturating_add(1);
        *self.stranger.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
        true
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut present = self.guests.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.all = present.all.saturating_sub(1);
        let stranger = self.stranger.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(user) = stranger
            && let Some(count) = present.strangers.get_mut(&user)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                present.strangers.remove(&user);
            }
        }
    }
}
