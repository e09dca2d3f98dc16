//! `convert`: turns a core into a minidump, or a minidump into a core.

use crate::args::{ConvertArguments, FormatName};
use crate::converter::{Unconverted, convert};
use crate::destination::{self, Destination};
use crate::exit::Failure;
use crate::foreign::Foreign;
use crate::options;
use crate::packing::Packer;
use crate::progress::ProgressWriter;
use crate::summary::{self, Done};
use minidump_writer::{DumpReport, Format};
use std::io::Write;
use std::time::Instant;

/// Runs the command.
pub fn run(arguments: &ConvertArguments) -> Result<(), Failure> {
    let started = Instant::now();
    let input = Foreign::open(&arguments.input)?;
    if arguments.mode.is_some() && input.is_minidump() {
        let sentence = format!(
            "{} is a minidump, of which all memory is kept; leave out --memory, which chooses from a core",
            input.name()
        );
        return Err(Failure::Failed(sentence));
    }
    let mut destination = Destination::open(&arguments.output)?;
    let (report, bytes) = convert_to(arguments, &input, &mut destination)?;
    destination.commit()?;
    let is_compressed = arguments.compress;
    let done = Done { report, bytes, is_compressed, wall: started.elapsed(), is_live: false };
    if arguments.json {
        return summary::print(&done, &arguments.output, false);
    }
    let place = if destination::is_dash(&arguments.output) {
        "the standard output".into()
    } else {
        arguments.output.to_string_lossy()
    };
    summary::tell(&done, &place);
    Ok(())
}

fn convert_to(
    arguments: &ConvertArguments,
    input: &Foreign,
    output: &mut dyn Write,
) -> Result<(DumpReport, u64), Failure> {
    let packer =
        Packer::new(output, arguments.compress).map_err(|error| destination::write_failure(&error))?;
    let mut writer = ProgressWriter::new(packer, "writing the dump", None);
    let format: Option<Format> = arguments.format.map(FormatName::into);
    let name = input.name();
    let result = convert(input.for_library(), format, &options::of_convert(arguments), &mut writer);
    let packer = writer.finish();
    let report = result.map_err(|error| match error {
        Unconverted::Output(error) => destination::write_failure(&error),
        Unconverted::Input(reason) => Failure::Failed(format!("cannot convert {name}: {reason}")),
    })?;
    let bytes = packer.finish().map_err(|error| destination::write_failure(&error))?;
    Ok((report, bytes))
}
