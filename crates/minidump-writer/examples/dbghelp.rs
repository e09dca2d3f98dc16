//! Dumps a process by the system's own dumper: `dbghelp FILE [PID]`, without a PID this program itself.

use std::error::Error;

#[cfg(windows)]
fn main() -> Result<(), Box<dyn Error>> {
    use minidump_writer::crash_context::CrashContext;
    use minidump_writer::minidump_writer::{MinidumpType, MinidumpWriter};
    use std::fs::File;

    let usage = "usage: dbghelp FILE [PID]";
    let mut arguments = std::env::args().skip(1);
    let mut file = File::create(arguments.next().ok_or(usage)?)?;
    let minidump_type = Some(MinidumpType::WithThreadInfo | MinidumpType::WithFullMemoryInfo);
    match arguments.next() {
        None => MinidumpWriter::dump_local_context(None, None, minidump_type, &mut file)?,
        Some(pid) => {
            // No crash: no exception, no thread.
            let context = CrashContext {
                exception_pointers: std::ptr::null(),
                exception_code: 0,
                process_id: pid.parse().map_err(|_| usage)?,
                thread_id: 0,
            };
            MinidumpWriter::dump_crash_context(&context, minidump_type, &mut file)?;
        }
    }
    println!("{} bytes", file.metadata()?.len());
    Ok(())
}

#[cfg(not(windows))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("dbghelp is part of Windows".into())
}
