//! The same dump time after time.

use crate::held;
use minidump_writer::{DumpOptions, dump_process};
use std::io;

/// Dumps a process `count` times. Prints a line of JSON after each tenth: the number of the next handle, and how much memory is held.
pub fn repeat(pid: i32, count: i32) {
    for round in 1..=count {
        let report = dump_process(pid, &DumpOptions::default(), &mut io::sink());
        let report = report.unwrap_or_else(|error| panic!("dump {round}: {error}"));
        assert!(report.bytes > 1000, "dump {round} has {} bytes", report.bytes);
        if round % (count / 10).max(1) == 0 {
            println!("{{\"next_handle\":{},\"memory\":{}}}", held::next_handle(), held::memory());
        }
    }
}
