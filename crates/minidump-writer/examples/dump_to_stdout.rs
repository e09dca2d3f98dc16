//! Dumps a process to the standard output, which need not be a file: `dump_to_stdout PID | gzip > FILE`.

use minidump_writer::{DumpOptions, dump_process};
use std::error::Error;
use std::io::{self, IsTerminal as _};

fn main() -> Result<(), Box<dyn Error>> {
    let pid = std::env::args().nth(1).ok_or("usage: dump_to_stdout PID")?.parse()?;
    let mut output = io::stdout().lock();
    if output.is_terminal() {
        return Err("a terminal cannot show a dump; send it to a file or a program".into());
    }
    // Any `Write` will do: the dump goes out from front to back.
    let report = dump_process(pid, &DumpOptions::default(), &mut output)?;
    eprintln!("{} bytes", report.bytes);
    Ok(())
}
