//! The client of the handler, for crashers that are to have one.

use minidump_handler::client::Client;

/// Where dumps are to go; without it there is no client.
const DIRECTORY: &str = "CRASHER_DUMPS";
/// The handler to start.
const HANDLER: &str = "CRASHER_HANDLER";
/// Where a handler listens.
const SOCKET: &str = "CRASHER_SOCKET";

/// Installs the client, if the environment says so.
pub fn if_wanted() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let mut builder = Client::builder().dump_dir(directory).version("7.8.9").annotation("crasher", "protected");
    if let Some(handler) = std::env::var_os(HANDLER) {
        builder = builder.handler(handler);
    }
    if let Some(socket) = std::env::var_os(SOCKET) {
        builder = builder.connect(socket);
    }
    builder.install().unwrap_or_else(|error| panic!("the client is installed: {error}"));
}
