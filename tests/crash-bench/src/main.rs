//! `crash-bench WAY THREADS LIVE_KIB DIR [PATH]`: a program that crashes when it is told to ([`program`]), for
//! `cargo xtask bench crash`. WAY is how it is protected:
//!
//! * `handler`: by the client, which starts the handler PATH;
//! * `service`: by the client, connected to the handler that listens at PATH;
//! * `alone`: by the client without a handler;
//! * `none`: not at all.
#![deny(unsafe_code)]

mod program;

use minidump_handler::client::{Builder, Client};
use program::Shape;
use std::error::Error;
use std::process::ExitCode;

const USAGE: &str = "usage: crash-bench handler|service|alone|none THREADS LIVE_KIB DIR [PATH]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crash-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [way, threads, live_kib, directory, path @ ..] = arguments else { return Err(USAGE.into()) };
    let shape = Shape::parse(threads, live_kib)?;
    let client = match (way.as_str(), path) {
        ("handler", [handler]) => Client::builder().dump_dir(directory).handler(handler),
        ("service", [socket]) => Client::builder().connect(socket),
        ("alone", []) => Client::builder().dump_dir(directory),
        ("none", []) => return program::run(shape, || Ok(())),
        _ => return Err(USAGE.into()),
    };
    program::run(shape, || protect(client))
}

fn protect(client: Builder) -> Result<Client, Box<dyn Error>> {
    Ok(client.version(env!("CARGO_PKG_VERSION")).install()?)
}
