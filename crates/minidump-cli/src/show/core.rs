//! Cores are shown by way of a minidump.

use crate::converter::{Input, Unconverted, convert};
use crate::show::model::Format;
use crate::spool::Spool;
use minidump_writer::DumpOptions;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _};

/// Which format `file` begins as. What is none of the cores is taken for a minidump, whose reader then complains.
pub fn format(mut file: &File) -> io::Result<Format> {
    let mut start = Vec::with_capacity(4);
    file.take(4).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(match start.as_slice() {
        b"\x7fELF" => Format::Core,
        // MH_MAGIC_64; the library tells what is wrong with the others.
        b"\xcf\xfa\xed\xfe" | b"\xce\xfa\xed\xfe" => Format::MachoCore,
        _ => Format::Minidump,
    })
}

/// A temporary minidump of the stacks in the core `file`.
pub fn as_minidump(file: &File) -> Result<File, Unconverted> {
    let mut spool = Spool::create().map_err(Unconverted::Output)?;
    let mut options = DumpOptions::default();
    // Nobody but who may read the core reads this.
    options.keep_environ = true;
    let input = Input::Opened(file);
    convert(input, Some(minidump_writer::Format::Minidump), &options, &mut BufWriter::new(&mut spool))?;
    spool.finish().map_err(Unconverted::Output)
}
