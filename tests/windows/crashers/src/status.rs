//! The whole exit code of another program: a shell tells only its last eight bits.

use crate::facts::Facts;
use crate::scenario::Arguments;
use std::process::Command;

/// `status PROGRAM ARGS`: runs the program and prints a last line that tells how it ended.
pub fn status(arguments: &Arguments) {
    let words = (0..).map_while(|index| arguments.raw(index));
    let words: Vec<_> = words.collect();
    let (program, rest) = words.split_first().expect("a program is named");
    let status = Command::new(program).args(rest).status().expect("the program can be started");
    let code = status.code().expect("a program of Windows ends with a code");
    Facts::new().number("code", code.cast_unsigned()).print();
}
