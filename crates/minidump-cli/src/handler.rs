//! `handler`: dumps the programs that ask it to.

use crate::args::HandlerArguments;
use crate::exit::Failure;
use crate::{directory, options, text};
use minidump_handler::coredump_socket::give_back_program_memory;
use minidump_handler::server::{Event, Server};
use minidump_handler::store::Store;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// Serves until there is nobody left to serve.
pub fn run(arguments: &HandlerArguments) -> Result<(), Failure> {
    let path = arguments.dir.clone().map_or_else(directory::usual, Ok)?;
    let store = Store::open(path, (&arguments.limits).into())
        .map_err(|error| Failure::Failed(format!("{error}; choose another directory with -d DIR")))?
        .durable(arguments.durable);
    let server = match &arguments.socket {
        Some(socket) if arguments.all_users => Server::listen_to_all(socket, store),
        Some(socket) => Server::listen(socket, store),
        None => Server::serve(inherited()?, store),
    };
    let mut server = server
        .map_err(|error| {
            Failure::Failed(format!("{error}; name a path in a directory of yours with --socket PATH"))
        })?
        .options(options::of_handler(arguments))
        .when_idle(give_back_program_memory);
    if let Some(jobs) = arguments.jobs {
        server = server.concurrency(jobs);
    }
    let is_quiet = arguments.quiet;
    let told = server.run(&|event| {
        if !is_quiet {
            tell(event);
        }
    });
    told.map_err(|error| Failure::Failed(format!("{error}; raise the limit of open files (ulimit -n)")))
}

/// The connection of the client that has started this program.
fn inherited() -> Result<OwnedFd, Failure> {
    let connection = io::stdin().as_fd().try_clone_to_owned();
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
