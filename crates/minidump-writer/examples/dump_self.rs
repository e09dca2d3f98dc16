//! Dumps itself, with several threads running: `dump_self FILE`.

use minidump_writer::{DumpOptions, dump_self, output::DumpFile};
use std::error::Error;
use std::thread;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dump_self FILE")?;
    for name in ["reader", "writer"] {
        thread::Builder::new().name(name.into()).spawn(thread::park)?;
    }
    // From any thread, but not from a crash handler: the helper process is made by fork(2).
    let mut file = DumpFile::create(path)?;
    let report = dump_self(&DumpOptions::default(), &mut file)?;
    file.commit()?;
    println!("{} bytes, {} threads, stood still for {:?}", report.bytes, report.threads, report.stopped);
    Ok(())
}
