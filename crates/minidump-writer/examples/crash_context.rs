//! Dumps a process that sent its crash context, as the `crash-handler` crate records it: `crash_context FILE < CONTEXT`.

use std::error::Error;

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
fn main() -> Result<(), Box<dyn Error>> {
    use minidump_writer::{crash_context, minidump_writer::MinidumpWriter};
    use std::fs::File;
    use std::io::Read as _;

    let path = std::env::args().nth(1).ok_or("usage: crash_context FILE < CONTEXT")?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    let inner = crash_context::raw::CrashContext::from_bytes(&bytes).ok_or("this is no crash context")?;

    let mut writer = MinidumpWriter::new(inner.pid, inner.tid);
    writer.set_crash_context(crash_context::CrashContext { inner });
    let dump = writer.dump(&mut File::create(path)?)?;
    println!("{} bytes", dump.len());
    Ok(())
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")))]
fn main() -> Result<(), Box<dyn Error>> {
    Err("there are crash contexts of this kind on Linux for x86-64 only".into())
}
