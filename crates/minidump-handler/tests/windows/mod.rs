mod cases;
mod crasher;
mod dump;

use minidump_handler::server::Server;
use minidump_handler::store::{Limits, Store};
use std::os::windows::io::AsHandle as _;

/// This program is the handler, a program that crashes, or the tests, whichever its first argument says.
pub fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["handler", "--client", "-d", directory, ..] => serve(directory),
        ["listen", pipe, directory] => listen(pipe, directory),
        ["crasher", how, directory, handler] => crasher::run(how, directory, handler),
        _ => cases::run(&words),
    }
}

fn serve(directory: &str) {
    let store = Store::open(directory, Limits::default()).unwrap();
    let connection = std::io::stdin().as_handle().try_clone_to_owned().unwrap();
    Server::serve(connection, store).unwrap().run(&|_| {}).unwrap();
}

fn listen(pipe: &str, directory: &str) {
    let store = Store::open(directory, Limits::default()).unwrap();
    let mut server = Server::listen(pipe, store).unwrap();
    println!("listening");
    server.run(&|event| println!("{event:?}")).unwrap();
}
