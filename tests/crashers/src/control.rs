//! The conversation with the test: one command per line on standard input, one JSON line in answer.
//!
//! Every scenario answers `ping` with its process id and, where it has one, a counter that advances as long as the
//! program does its work. End of input ends the program.

use crate::facts::Facts;
use crate::sys;

/// Serves commands until the input ends; `answer` gets each command line and returns what to print.
pub fn serve(mut answer: impl FnMut(&str) -> Facts) -> ! {
    while let Some(line) = sys::read_line() {
        answer(&line).print();
    }
    sys::exit_now(0)
}

/// Serves a program that knows only `ping`.
pub fn serve_ping() -> ! {
    serve(|_| Facts::new().flag("pong", true))
}

/// Serves a program whose progress is a counter.
pub fn serve_counter(count: impl Fn() -> u64) -> ! {
    serve(|_| Facts::new().flag("pong", true).number("counter", count()))
}
