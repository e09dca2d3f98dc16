//! The same dump time after time.

use crate::held;
use minidump_writer::{DumpOptions, dump_process};
use std::io;

/// Dumps a process `count` times. Prints one line of JSON: how many handles and how much memory were held after each tenth.
pub fn repeat(pid: i32, count: i32) {
    let mut held = Vec::new();
    for round in 1..=count {
        let report = dump_process(pid, &DumpOptions::default(), &mut io::sink());
        let report = report.unwrap_or_else(|error| panic!("dump {round}: {error}"));
        assert!(report.bytes > 1000, "dump {round} has {} bytes", report.bytes);
        if round % (count / 10).max(1) == 0 {
            held.push((held::handles(), held::memory()));
        }
    }
    let list = |of: fn(&(u32, usize)) -> String| held.iter().map(of).collect::<Vec<_>>().join(",");
    let (handles, memory) =
        (list(|(handles, _)| handles.to_string()), list(|(_, memory)| memory.to_string()));
    println!("{{\"handles\":[{handles}],\"memory\":[{memory}]}}");
}
