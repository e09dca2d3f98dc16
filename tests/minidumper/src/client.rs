//! The program that crashes.

use crate::crashes;
use crash_handler::{CrashContext, CrashEventResult, CrashHandler, make_crash_event};
use minidumper::{Client, SocketName};
use std::process::ExitCode;
use std::thread;

/// Stack of the threads of this program, small enough for a dump to hold it from end to end.
const STACK_SIZE: usize = 256 << 10;

/// Crashes as `kind` says, on the thread that `place` says. Prints the id of that thread before.
pub fn crash(socket: &str, server: &str, kind: &str, place: &str) -> ExitCode {
    let (Ok(server), Some(kind)) = (server.parse(), crashes::Kind::named(kind)) else {
        eprintln!("{server} is no process id, or {kind} no kind of crash");
        return ExitCode::from(2);
    };
    let client = match Client::with_name(SocketName::path(socket)) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("cannot connect: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report =
        move |context: &CrashContext| CrashEventResult::Handled(client.request_dump(context).is_ok());
    // SAFETY: what the handler does is one write to and one read from a socket, without allocation.
    let event = unsafe { make_crash_event(report) };
    let handler = match CrashHandler::attach(event) {
        Ok(handler) => handler,
        Err(error) => {
            eprintln!("cannot catch crashes: {error}");
            return ExitCode::FAILURE;
        }
    };
    handler.set_ptracer(Some(server));
    limit_main_stack();
    let bystander =
        thread::Builder::new().name("bystander".into()).stack_size(STACK_SIZE).spawn(thread::park);
    let worker = match place {
        "main" => return on_main(kind, &handler),
        _ => thread::Builder::new().name("worker".into()).stack_size(STACK_SIZE),
    };
    match (
        bystander,
        thread::scope(|scope| {
            worker
                .spawn_scoped(scope, || on_worker(kind, &handler))?
                .join()
                .map_err(|_| std::io::ErrorKind::Other.into())
        }),
    ) {
        (Ok(_), Ok(code)) => code,
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("a thread failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Its name tells the main thread's stack in a dump.
#[inline(never)]
fn on_main(kind: crashes::Kind, handler: &CrashHandler) -> ExitCode {
    commit(kind, handler)
}

/// Its name tells the worker's stack in a dump.
#[inline(never)]
fn on_worker(kind: crashes::Kind, handler: &CrashHandler) -> ExitCode {
    commit(kind, handler)
}

fn commit(kind: crashes::Kind, handler: &CrashHandler) -> ExitCode {
    // SAFETY: gettid(2) has no preconditions.
    println!("{}", unsafe { libc::gettid() });
    crashes::commit(kind, handler);
    ExitCode::SUCCESS
}

/// The kernel lets the main stack grow up to the limit that holds at that moment.
fn limit_main_stack() {
    let limit = libc::rlimit { rlim_cur: 512 << 10, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the structure outlives the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_STACK, &raw const limit) } != 0 {
        eprintln!("the stack limit stays as it is: {}", std::io::Error::last_os_error());
    }
}
