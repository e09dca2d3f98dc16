//! `handler` on Windows: dumps the programs that ask it to.

use crate::args::HandlerArguments;
use crate::exit::Failure;
use crate::{directory, options, text};
use minidump_handler::server::{Event, Server};
use minidump_handler::store::Store;
use std::io;
use std::os::windows::io::{AsHandle as _, OwnedHandle};

/// Serves until there is nobody left to serve.
pub fn run(arguments: &HandlerArguments) -> Result<(), Failure> {
    let path = arguments.dir.clone().map_or_else(directory::usual, Ok)?;
    let store = Store::open(path, (&arguments.limits).into())
        .map_err(|error| Failure::Failed(format!("{error}; choose another directory with -d DIR")))?
        .durable(arguments.durable);
    let server = match &arguments.socket {
        Some(pipe) if arguments.all_users => Server::listen_to_all(pipe, store),
        Some(pipe) => Server::listen(pipe, store),
        None => Server::serve(inherited()?, store),
    };
    let way_out = if arguments.socket.is_some() {
        "end whoever has a pipe of that name, or choose another with --socket NAME"
    } else {
        "clients start this with --client; to serve programs that run already, use --socket NAME"
    };
    let mut server = server
        .map_err(|error| Failure::Failed(format!("{error}; {way_out}")))?
        .options(options::of_handler(arguments));
    if let Some(jobs) = arguments.jobs {
        server = server.concurrency(jobs);
    }
    let is_quiet = arguments.quiet;
    let told = server.run(&|event| {
        if !is_quiet {
            tell(event);
        }
    });
    told.map_err(|error| Failure::Failed(format!("{error}; the system has no memory or handles left")))
}

/// The pipe of the client that has started this program.
fn inherited() -> Result<OwnedHandle, Failure> {
    let connection = io::stdin().as_handle().try_clone_to_owned();
    connection.map_err(|error| {
        Failure::Failed(format!("the standard input is closed: {error}; clients start this"))
    })
}

fn tell(event: &Event<'_>) {
    let sentence = match event {
        Event::Dumped { pid, program, reason, path, .. } => {
            format!("{program} (process {pid}): {reason}; dump: {}", path.display())
        }
        Event::Refused { pid, why, .. } => format!("no dump for process {pid}: {why}"),
        _ => return,
    };
    text::complain("minidump-writer", &sentence);
}
