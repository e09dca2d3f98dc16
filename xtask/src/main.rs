//! The project's own tasks: `cargo xtask <command>`.
//!
//! Everything these tasks install or build stays inside the checkout, below `target/`; only system packages (a debugger,
//! a compiler for other targets) go where the system puts them.
#![deny(unsafe_code)]

mod apple;
#[cfg(target_os = "linux")]
mod apple_emulator;
#[cfg(target_os = "linux")]
mod bench;
#[cfg(target_os = "linux")]
mod capi;
mod ci;
mod cross;
mod deny;
#[cfg(target_os = "linux")]
mod dist;
#[cfg(target_os = "linux")]
mod foreign_host;
mod instructions;
mod minidumper;
mod peer;
mod places;
mod setup;
mod shell;
mod test;
#[cfg(target_os = "linux")]
mod windows;

use shell::Outcome;
use std::{env, process::ExitCode};

/// A command: its name and arguments, what it runs, and the line that `help` prints about it.
struct Task {
    name: &'static str,
    arguments: &'static str,
    run: fn(&[String]) -> Outcome,
    help: &'static str,
}

const TASKS: &[Task] = &[
    Task {
        name: "test",
        arguments: "[ARGS]",
        run: test::run,
        help: "install what the tests need, then run all of them, or `cargo test ARGS`",
    },
    Task { name: "tools", arguments: "", run: setup::tools, help: "only install what the tests need" },
    #[cfg(target_os = "linux")]
    Task {
        name: "bench",
        arguments: "[quick|full|smoke|memory|crash|run|windows|report]",
        run: bench::run,
        help: "measure dumps against the published crate, gcore, and the least that has to be done",
    },
    Task {
        name: "apple",
        arguments: "[ARGS]",
        run: apple::run,
        help: "read macOS dumps of simulated tasks with LLDB, minidump-stackwalk and dump_syms",
    },
    Task {
        name: "instructions",
        arguments: "",
        run: instructions::run,
        help: "count the instructions of maps parsing, module reading and layout",
    },
    #[cfg(target_os = "linux")]
    Task {
        name: "dist",
        arguments: "",
        run: dist::run,
        help: "build target/dist/minidump-writer, the program as one static file",
    },
    #[cfg(target_os = "linux")]
    Task {
        name: "install-c",
        arguments: "PREFIX",
        run: capi::install,
        help: "build and install the libraries for C with all that belongs to them",
    },
    Task {
        name: "ci",
        arguments: "[CHECK...]",
        run: ci::run,
        help: "every check that a change has to pass, or those named",
    },
    Task { name: "help", arguments: "", run: help, help: "print this list" },
];

/// Commands that other commands start; `help` does not list them.
const HIDDEN: &[Task] = &[
    #[cfg(target_os = "linux")]
    Task {
        name: "bench-target",
        arguments: "THREADS MAPS LIBS HEAP_MB BUSY",
        run: bench::target::run,
        help: "be a process that the bench dumps",
    },
    #[cfg(target_os = "linux")]
    Task {
        name: "bench-loop",
        arguments: "PID OUT",
        run: bench::memory::plain_loop,
        help: "copy the memory of a process to a file",
    },
    #[cfg(target_os = "linux")]
    Task {
        name: "bench-work",
        arguments: "WORK COUNT",
        run: bench::slowdown::work,
        help: "do what the bench measures below the supervisor",
    },
    #[cfg(target_os = "linux")]
    Task {
        name: "link-in-order",
        arguments: "FOLDER ARGUMENTS",
        run: dist::link_in_order,
        help: "link the static program with what a dump runs in front",
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else {
        return help(&[]);
    };
    let wanted = match name.as_str() {
        "-h" | "--help" => "help",
        other => other,
    };
    match TASKS.iter().chain(HIDDEN).find(|task| task.name == wanted) {
        Some(task) => (task.run)(rest),
        None => Err(format!("there is no command '{name}'; `cargo xtask help` lists them").into()),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "every task has this signature")]
fn help(_: &[String]) -> Outcome {
    println!("usage: cargo xtask <command>\n");
    for task in TASKS {
        println!("  {:<34}{}", format!("{} {}", task.name, task.arguments), task.help);
    }
    Ok(())
}
