//! A program with a client, which crashes, hangs, forks and asks for dumps when it is told to.

use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::{control, crash, protect, sys};
use minidump_handler::client::{Client, Heartbeat};
use std::cell::RefCell;
use std::io::Write as _;
use std::time::Duration;

/// The exit code of [`end_quietly`].
const QUIET: i32 = 42;

/// `protected [quiet|full FILE]`: `quiet` has a handler of SIGSEGV of its own, installed before the client, that ends the
/// program; `full` fills the file system of the file, when the client is installed and its handler runs, but for 8 KiB.
/// It tells the process id of its handler, once that runs.
///
/// Commands: `crash KIND` dies of it; `children COUNT` has so many children die at once, and tells how many were killed;
/// `dump REASON` asks for a dump and tells where it is; `annotate KEY VALUE`; `beat MILLISECONDS` begins a heartbeat,
/// `beat` goes on with it; `close FOLDER` closes all descriptors and opens others; `handler` tells the process id of the handler; `stop` ends the protection.
pub fn protected(arguments: &Arguments) {
    crash::default_fault_handling();
    if arguments.text(0) == Some("quiet") {
        // SAFETY: the handler makes one system call and does not return.
        unsafe { libc::signal(libc::SIGSEGV, end_quietly as extern "C" fn(libc::c_int) as usize) };
    }
    let client = RefCell::new(protect::wanted());
    if let (Some("full"), Some(path)) = (arguments.text(0), arguments.text(1)) {
        fill(path, client.borrow().as_ref());
    }
    let beat: RefCell<Option<Heartbeat>> = RefCell::new(None);
    let facts = |client: &Client| Facts::new().number("handler", client.handler_pid().unwrap_or(0));
    client.borrow().as_ref().map_or_else(Facts::new, facts).number("tid", sys::thread_id()).print();
    control::serve(|line| {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let protection = client.borrow();
        let Some(client_now) = protection.as_ref() else { panic!("there is no client any more: {line}") };
        match command {
            "crash" => crash::die(rest),
            "children" => Facts::new().size("killed", children(rest.parse().expect("a count"))),
            "dump" => match client_now.dump_without_crashing(rest) {
                Ok(path) => Facts::new().text("path", &path.to_string_lossy()),
                Err(error) => Facts::new().text("error", &error.to_string()),
            },
            "annotate" => {
                let (key, value) = rest.split_once(' ').expect("a key and a value");
                client_now.annotate(key, value).expect("it has room");
                Facts::new()
            }
            "beat" => {
                match rest.parse() {
                    Ok(limit) => {
                        *beat.borrow_mut() = Some(client_now.heartbeat(Duration::from_millis(limit)));
                    }
                    Err(_) => beat.borrow().iter().for_each(Heartbeat::beat),
                }
                Facts::new()
            }
            "close" => {
                close_all(rest);
                Facts::new()
            }
            "stop" => {
                drop(protection);
                client.borrow_mut().take().expect("there is a client").stop();
                Facts::new()
            }
            _ => facts(client_now),
        }
    })
}

/// Closes all that is no standard stream, as daemons do, and opens files of its own in `folder` and connections to itself
/// under the same numbers, which stay open.
fn close_all(folder: &str) {
    for descriptor in 3..256 {
        // SAFETY: what others believe to have open is what this is about.
        unsafe { libc::close(descriptor) };
    }
    for number in 0..32 {
        let mut file = std::fs::File::create(format!("{folder}/{number}")).expect("the file can be made");
        file.write_all(b"mine").expect("the file can be written");
        std::mem::forget(file);
        std::mem::forget(std::os::unix::net::UnixDatagram::pair().expect("a pair of sockets"));
    }
}

extern "C" fn end_quietly(_signal: libc::c_int) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(QUIET) };
}

/// Writes until there is no room, and gives some of it back.
fn fill(path: &str, client: Option<&Client>) {
    while std::env::var_os("CRASHER_HANDLER").is_some()
        && client.is_some_and(|client| client.handler_pid().is_none())
    {
        std::thread::yield_now();
    }
    let mut file = std::fs::File::create(path).expect("the file can be made");
    let mut written = 0;
    while let Ok(count @ 1..) = file.write(&[0; 4096]) {
        written += count as u64;
    }
    file.set_len(written.saturating_sub(8192)).expect("the file can be cut");
}

/// Has so many children die at once. Returns how many a signal has killed.
fn children(count: usize) -> usize {
    let children: Vec<_> = (0..count).map(|_| crash::forked(|| crash::die("null"))).collect();
    children.into_iter().filter(|child| crash::is_killed(*child)).count()
}
