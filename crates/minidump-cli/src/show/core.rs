//! ELF cores are shown by way of a minidump.

use crate::converter::{Input, Unconverted, convert};
use crate::foreign;
use crate::spool::Spool;
use minidump_writer::{DumpOptions, Format};
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _};

/// Whether `file` begins as an ELF file.
pub fn is_elf(mut file: &File) -> io::Result<bool> {
    let mut start = Vec::with_capacity(4);
    file.take(4).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == b"\x7fELF")
}

/// A temporary minidump of the stacks in the core `file`.
pub fn as_minidump(mut file: File) -> Result<File, Unconverted> {
    let mut spool = Spool::create().map_err(Unconverted::Output)?;
    let mut options = DumpOptions::default();
    // Nobody but who may read the core reads this.
    options.keep_environ = true;
    let path = foreign::again(&file);
    let input = path.as_deref().map_or_else(|| Input::Stream(&mut file), Input::File);
    convert(input, Some(Format::Minidump), &options, &mut BufWriter::new(&mut spool))?;
    spool.finish().map_err(Unconverted::Output)
}
