//! `handler` on macOS: dumps the program that started it.

use crate::args::HandlerArguments;
use crate::exit::Failure;
use crate::{directory, options, text};
use minidump_handler::mach;
use minidump_handler::store::Store;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::parent_id;

/// Serves until the program that started this one has gone.
pub fn run(arguments: &HandlerArguments) -> Result<(), Failure> {
    if arguments.socket.is_some() {
        let why = "programs cannot connect to a handler on macOS yet; they start one each (--client)";
        return Err(Failure::Failed(why.into()));
    }
    let path = arguments.dir.clone().map_or_else(directory::usual, Ok)?;
    let store = Store::open(path, (&arguments.limits).into())
        .map_err(|error| Failure::Failed(format!("{error}; choose another directory with -d DIR")))?
        .durable(arguments.durable);
    let no_client = |error: io::Error| {
        Failure::Failed(format!(
            "the standard input is no connection to a client: {error}; clients start this"
        ))
    };
    let mut pipe = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().map_err(no_client)?);
    let process = i32::try_from(parent_id()).unwrap_or(0);
    let served = mach::serve(&mut pipe, process, "", &options::of_handler(arguments), &store, |dumped| {
        let sentence = match dumped {
            Ok(path) => format!("process {process}: dump: {}", path.display()),
            Err(why) => format!("no dump for process {process}: {why}"),
        };
        if !arguments.quiet {
            text::complain("minidump-writer", &sentence);
        }
    });
    served.map_err(|error| Failure::Failed(format!("{error}; this is started by clients alone")))
}
