//! The program that is still well when another one crashes.

use minidumper::{Error, LoopAction, MinidumpBinary, Server, ServerHandler, SocketName};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

struct Handler {
    dump: PathBuf,
}

impl ServerHandler for Handler {
    fn create_minidump_file(&self) -> Result<(File, PathBuf), io::Error> {
        Ok((File::create_new(&self.dump)?, self.dump.clone()))
    }

    /// Keeps what minidumper was given besides the file, for comparison.
    fn on_minidump_created(&self, result: Result<MinidumpBinary, Error>) -> LoopAction {
        let written = result.map_err(|error| error.to_string()).and_then(|binary| {
            let contents = binary.contents.ok_or("minidumper was given no contents")?;
            std::fs::write(self.dump.with_extension("copy"), contents).map_err(|error| error.to_string())
        });
        if let Err(error) = written {
            eprintln!("no dump: {error}");
            std::process::exit(1);
        }
        LoopAction::Exit
    }

    fn on_message(&self, kind: u32, _buffer: Vec<u8>) {
        eprintln!("unexpected message of kind {kind}");
    }

    fn on_client_disconnected(&self, _clients: usize) -> LoopAction {
        LoopAction::Exit
    }
}

/// Serves one client. Prints `listening` when it may come.
pub fn serve(socket: &str, dump: &str) -> ExitCode {
    let mut server = match Server::with_name(SocketName::path(socket)) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("cannot listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("listening");
    match server.run(Box::new(Handler { dump: dump.into() }), &AtomicBool::new(false), None) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the server failed: {error}");
            ExitCode::FAILURE
        }
    }
}
