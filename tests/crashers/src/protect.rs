//! The client of the handler, for crashers that are to have one.

use minidump_handler::client::Client;
use std::time::Duration;

/// Where dumps are to go; without it there is no client.
const DIRECTORY: &str = "CRASHER_DUMPS";
/// The handler to start.
const HANDLER: &str = "CRASHER_HANDLER";
/// Where a handler listens.
const SOCKET: &str = "CRASHER_SOCKET";
/// A file to be kept with the dumps.
const ATTACHMENT: &str = "CRASHER_ATTACHMENT";
/// How long to wait for the handler to take notice, in milliseconds.
const PATIENCE: &str = "CRASHER_PATIENCE";

/// Installs the client, if the environment says so.
pub fn if_wanted() {
    // It stays when this value goes.
    drop(wanted());
}

/// The client, if the environment says so.
pub fn wanted() -> Option<Client> {
    let directory = std::env::var_os(DIRECTORY)?;
    let mut builder =
        Client::builder().dump_dir(directory).version("7.8.9").annotation("crasher", "protected");
    if let Some(handler) = std::env::var_os(HANDLER) {
        builder = builder.handler(handler);
    }
    if let Some(socket) = std::env::var_os(SOCKET) {
        builder = builder.connect(socket);
    }
    if let Some(path) = std::env::var_os(ATTACHMENT) {
        builder = builder.attachment(path);
    }
    if let Some(patience) = std::env::var(PATIENCE).ok().and_then(|text| text.parse().ok()) {
        builder = builder.patience(Duration::from_millis(patience));
    }
    Some(builder.install().unwrap_or_else(|error| panic!("the client is installed: {error}")))
}
