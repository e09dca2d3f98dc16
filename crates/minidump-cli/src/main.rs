//! The command-line program `minidump-writer`: dumps a live process, shows a dump, converts a dump.
#![forbid(unsafe_code)]

mod args;
mod convert;
mod converter;
mod core_handler;
mod destination;
#[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
mod directory;
mod dump;
mod exit;
mod foreign;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod handler;
#[cfg(target_os = "macos")]
#[path = "handler_macos.rs"]
mod handler;
#[cfg(windows)]
#[path = "handler_windows.rs"]
mod handler;
mod options;
mod packing;
mod proc_maps;
mod progress;
#[cfg(any(windows, all(target_os = "linux", target_arch = "x86_64")))]
mod run;
mod show;
mod spool;
mod stream_names;
mod summary;
mod target_name;
mod text;
mod unpacking;

use args::{Arguments, Command};
use std::process::ExitCode;

/// The allocator of musl maps and unmaps memory for nearly every list that grows. This one asks the system rarely.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let result = Arguments::of_this_program().and_then(Arguments::checked).map_err(exit::Failure::Usage);
    exit::report(result.and_then(|arguments| match arguments.command {
        Command::Dump(arguments) => dump::run(&arguments).map(done),
        #[cfg(any(windows, all(target_os = "linux", target_arch = "x86_64")))]
        Command::Run(arguments) => run::run(&arguments),
        #[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
        Command::Handler(arguments) => handler::run(&arguments).map(done),
        Command::Show(arguments) => show::run(&arguments).map(done),
        Command::Convert(arguments) => convert::run(&arguments).map(done),
        Command::CoreHandler(arguments) => core_handler::run(&arguments).map(done),
    }))
}

/// The exit code of work that is done.
fn done((): ()) -> exit::Code {
    exit::DONE
}
