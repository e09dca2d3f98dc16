//! The two ways to a dump: our own capture, and the system's dumper.

use minidump_writer::crash_context::CrashContext;
use minidump_writer::minidump_writer::{MinidumpType, MinidumpWriter};
use minidump_writer::{DumpOptions, dump_process};
use std::fs::File;
use std::io::{self, BufRead as _};
use std::time::Instant;

/// Dumps the process into the file. Ways: `ours`, `dbghelp`, and `nothing`.
pub fn dump(way: &str, pid: i32, path: &str) {
    match way {
        "ours" => {
            let mut file = File::create(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            dump_process(pid, &DumpOptions::default(), &mut file).unwrap_or_else(|error| panic!("{error}"));
        }
        "dbghelp" => {
            let mut file = File::create(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let context = CrashContext {
                exception_pointers: std::ptr::null(),
                process_id: pid.cast_unsigned(),
                thread_id: 0,
                exception_code: 0,
            };
            MinidumpWriter::dump_crash_context(&context, Some(MinidumpType::Normal), &mut file)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        "nothing" => {}
        other => panic!("unknown way {other:?}"),
    }
}

/// Dumps by the way that each line of standard input names, and answers with how long it took, in nanoseconds.
pub fn turns(pid: i32, path: &str) {
    println!("{{}}");
    for way in io::stdin().lock().lines().map_while(Result::ok) {
        let start = Instant::now();
        dump(way.trim(), pid, path);
        println!("{{\"wall\":{}}}", start.elapsed().as_nanos());
    }
}
