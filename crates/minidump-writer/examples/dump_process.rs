//! Dumps a process to a file: `dump_process PID FILE`.

use minidump_writer::{DumpOptions, dump_process, output::DumpFile};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pid, path] = arguments.as_slice() else {
        return Err("usage: dump_process PID FILE".into());
    };
    // Without a commit, or when the dump fails, nothing is left under the name.
    let mut file = DumpFile::create(path)?;
    let report = dump_process(pid.parse()?, &DumpOptions::default(), &mut file)?;
    file.commit()?;

    println!("{} bytes; the process stood still for {:?}", report.bytes, report.stopped);
    println!("{} threads, {} modules", report.threads, report.modules);
    for error in &report.soft_errors {
        println!("missing: {error}");
    }
    Ok(())
}
