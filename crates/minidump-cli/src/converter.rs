//! The library's converter with the words that the command line has for its failures.

use minidump_writer::convert::ConvertError;
pub use minidump_writer::convert::Input;
use minidump_writer::formats::minidump::FormatError;
use minidump_writer::{DumpOptions, DumpReport, Format};
use std::io;

/// Why a dump could not be converted.
#[derive(Debug)]
pub enum Unconverted {
    /// The destination refused it.
    Output(io::Error),
    /// Anything else: what, and the way out.
    Input(String),
}

/// Converts as the library does.
pub fn convert(
    input: Input<'_>,
    format: Option<Format>,
    options: &DumpOptions,
    output: &mut dyn io::Write,
) -> Result<DumpReport, Unconverted> {
    minidump_writer::convert::convert(input, format, options, output).map_err(explained)
}

fn explained(error: ConvertError) -> Unconverted {
    let way_out = match &error {
        ConvertError::Output { .. } => "",
        ConvertError::NotADump | ConvertError::NotACore => {
            "give a minidump or the core of a program of Linux or macOS"
        }
        ConvertError::Damaged { .. } | ConvertError::Input { .. } => "copy or take it again",
        _ => "a debugger for that kind of machine may read it",
    };
    match error {
        ConvertError::Output { source } => Unconverted::Output(source),
        // It names the way out.
        ConvertError::Format { source: source @ FormatError::OtherSystem { .. } } => {
            Unconverted::Input(source.to_string())
        }
        error => Unconverted::Input(format!("{error}; {way_out}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_way_out() {
        let told = |error| match explained(error) {
            Unconverted::Input(sentence) => sentence,
            Unconverted::Output(error) => error.to_string(),
        };
        assert!(
            told(ConvertError::NotADump)
                .ends_with("; give a minidump or the core of a program of Linux or macOS")
        );
        assert!(told(ConvertError::Damaged { what: "cut" }).ends_with("cut; copy or take it again"));
        assert!(
            told(ConvertError::OtherMachine { what: "another processor" })
                .ends_with("; a debugger for that kind of machine may read it")
        );
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(told(ConvertError::Output { source: full() }), full().to_string());
    }
}
