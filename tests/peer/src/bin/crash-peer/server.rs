//! The process that dumps the one that crashes.

use minidumper::{LoopAction, MinidumpBinary, Server, ServerHandler, SocketName};
use std::error::Error;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

struct Handler {
    directory: PathBuf,
    dumps: AtomicU32,
    once: bool,
}

impl ServerHandler for Handler {
    fn create_minidump_file(&self) -> Result<(File, PathBuf), io::Error> {
        let path = self.directory.join(format!("{}.dmp", self.dumps.fetch_add(1, Ordering::Relaxed)));
        Ok((File::create_new(&path)?, path))
    }

    fn on_minidump_created(&self, result: Result<MinidumpBinary, minidumper::Error>) -> LoopAction {
        if let Err(error) = result {
            eprintln!("crash-peer: no dump: {error}");
        }
        if self.once { LoopAction::Exit } else { LoopAction::Continue }
    }

    fn on_message(&self, _kind: u32, _buffer: Vec<u8>) {}

    fn on_client_disconnected(&self, clients: usize) -> LoopAction {
        if self.once && clients == 0 { LoopAction::Exit } else { LoopAction::Continue }
    }
}

/// Serves at `socket`, for one dump or for ever.
pub fn serve(socket: &str, directory: &str, once: bool) -> Result<(), Box<dyn Error>> {
    let mut server = Server::with_name(SocketName::path(socket))?;
    let handler = Handler { directory: directory.into(), dumps: AtomicU32::new(0), once };
    Ok(server.run(Box::new(handler), &AtomicBool::new(false), None)?)
}
