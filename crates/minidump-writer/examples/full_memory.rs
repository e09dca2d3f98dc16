//! Dumps all memory of a process, which stands still only while it is forked: `full_memory PID FILE`.

use minidump_writer::snapshot::MemoryMode;
use minidump_writer::{DumpOptions, dump_process, output::DumpFile};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pid, path] = arguments.as_slice() else {
        return Err("usage: full_memory PID FILE".into());
    };
    let mut options = DumpOptions::default();
    options.memory.mode = MemoryMode::Full;
    // The memory is read from a copy-on-write copy of the process, while the process itself runs on.
    options.copy_on_write = true;

    let mut file = DumpFile::create(path)?;
    let report = dump_process(pid.parse()?, &options, &mut file)?;
    file.commit()?;
    println!("{} bytes in {:?}, stood still for {:?}", report.bytes, report.wall, report.stopped);
    Ok(())
}
