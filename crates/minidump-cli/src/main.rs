//! The command-line program `minidump-writer`: dumps a live process, shows a dump.
#![forbid(unsafe_code)]

mod args;
mod dump;
mod exit;
mod options;
#[allow(
    dead_code,
    reason = "the reading half is for show and convert, which do not read compressed dumps yet"
)]
mod packing;
mod proc_maps;
mod progress;
mod show;
#[allow(
    dead_code,
    reason = "the reading half is for show and convert, which do not read compressed dumps yet"
)]
mod spool;
mod stream_names;
mod target_name;
mod text;

use args::{Arguments, Command};
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = Arguments::try_parse().and_then(Arguments::checked).map_err(exit::Failure::Usage);
    exit::report(result.and_then(|arguments| match arguments.command {
        Command::Dump(arguments) => dump::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
    }))
}
