//! The program of `tests/crash-bench`, protected by the published crates `minidumper` and `crash-handler`, for
//! `cargo xtask bench crash`:
//!
//! * `crash-peer server SOCKET DIR once|always`: dumps what asks for it, into DIR; one dump, or any number;
//! * `crash-peer own THREADS LIVE_KIB DIR`: crashes when it is told to; starts a server of its own;
//! * `crash-peer service THREADS LIVE_KIB SOCKET PID`: the same, with the server that is there.
#![deny(unsafe_code)]

#[path = "../../../../crash-bench/src/program.rs"]
mod program;
mod server;

use crash_handler::{CrashContext, CrashEventResult, CrashHandler, make_crash_event};
use minidumper::{Client, SocketName};
use program::Shape;
use std::error::Error;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: crash-peer server SOCKET DIR once|always, or: crash-peer own THREADS LIVE_KIB DIR, or: \
                     crash-peer service THREADS LIVE_KIB SOCKET PID";

/// Between two tries to connect, and until all are given up. The crate's example waits 100 ms between two.
const PAUSE: Duration = Duration::from_micros(100);
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crash-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Box<dyn Error>> {
    match words {
        ["server", socket, directory, "once"] => server::serve(socket, directory, true),
        ["server", socket, directory, "always"] => server::serve(socket, directory, false),
        ["own", threads, live_kib, directory] => {
            program::run(Shape::parse(threads, live_kib)?, || start_server(directory))
        }
        ["service", threads, live_kib, socket, server] => {
            let server = server.parse()?;
            program::run(Shape::parse(threads, live_kib)?, || attach(connect(socket)?, server))
        }
        _ => Err(USAGE.into()),
    }
}

/// Starts this program as the server of itself, as the crate's example does.
fn start_server(directory: &str) -> Result<CrashHandler, Box<dyn Error>> {
    let socket = format!("{directory}/socket");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["server", &socket, directory, "once"]).stdin(Stdio::null()).stdout(Stdio::null());
    let server = command.spawn()?;
    attach(connect(&socket)?, server.id())
}

fn connect(socket: &str) -> Result<Client, Box<dyn Error>> {
    let begun = Instant::now();
    loop {
        match Client::with_name(SocketName::path(socket)) {
            Ok(client) => return Ok(client),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

#[expect(unsafe_code, reason = "what runs in a signal handler")]
fn attach(client: Client, server: u32) -> Result<CrashHandler, Box<dyn Error>> {
    let report =
        move |context: &CrashContext| CrashEventResult::Handled(client.request_dump(context).is_ok());
    // SAFETY: what the handler does is one write to and one read from a socket, without allocation.
    let handler = CrashHandler::attach(unsafe { make_crash_event(report) })?;
    handler.set_ptracer(Some(server));
    Ok(handler)
}
