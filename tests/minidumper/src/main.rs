//! Both ends of a crash report, as programs with minidumper have them: `serve SOCKET DUMP` waits for one crash and
//! writes its dump, `crash SOCKET SERVER KIND PLACE` crashes.

mod client;
mod crashes;
mod server;

use std::process::ExitCode;

/// Seconds after which either end gives up, whatever it waits for.
const PATIENCE: u32 = 60;

fn main() -> ExitCode {
    // SAFETY: alarm(2) only arms a timer; its signal ends this process.
    unsafe { libc::alarm(PATIENCE) };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", socket, dump] => server::serve(socket, dump),
        ["crash", socket, server, kind, place] => client::crash(socket, server, kind, place),
        _ => {
            eprintln!("usage: minidumper-drop-in serve SOCKET DUMP | crash SOCKET SERVER KIND main|worker");
            ExitCode::from(2)
        }
    }
}
