//! A handler that many programs share.

use super::way::{Programs, Way};
use crate::{
    bench::os,
    shell::{Doing, Outcome},
};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// One that runs.
#[derive(Debug)]
pub struct Service {
    way: Way,
    child: Child,
    socket: PathBuf,
    folder: PathBuf,
}

impl Service {
    /// Starts it, with its dumps to go to `folder`, and waits until it listens.
    pub fn start(way: Way, programs: &Programs, folder: &Path) -> Outcome<Self> {
        let socket = folder.join("socket");
        let mut command = if way == Way::Peer {
            let mut command = Command::new(&programs.peer);
            command.arg("server").arg(&socket).arg(folder).arg("always");
            command
        } else {
            let mut command = Command::new(&programs.handler);
            command.arg("handler").arg("--quiet").arg("--dir").arg(folder).arg("--socket").arg(&socket);
            command
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().doing("no handler")?;
        let service = Self { way, child, socket, folder: folder.to_owned() };
        let begun = Instant::now();
        while !service.socket.exists() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} does not listen", way.name()).into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(service)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A program that uses it.
    pub fn client(&self, programs: &Programs, threads: usize, live_kib: usize) -> Command {
        let program = if self.way == Way::Peer { &programs.peer } else { &programs.ours };
        let mut command = Command::new(program);
        command.args(["service", &threads.to_string(), &live_kib.to_string()]);
        if self.way == Way::Peer {
            command.arg(&self.socket).arg(self.child.id().to_string());
        } else {
            command.arg(&self.folder).arg(&self.socket);
        }
        command
    }

    /// Threads that the client adds to a program.
    pub fn own_threads(&self) -> usize {
        self.way.own_threads()
    }

    /// Ends it. Returns the peak of its memory, in bytes.
    pub fn stop(mut self) -> Outcome<u64> {
        self.child.kill().doing("a handler cannot be ended")?;
        Ok(os::wait(self.child).doing("a handler cannot be waited for")?.peak_rss)
    }
}
