use minidump_formats::minidump::FormatError;
use std::io;

/// Why a dump could not be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The input could not be opened or copied.
    #[error("the dump could not be read: {source}")]
    Input {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The input is neither a core nor a minidump.
    #[error("this is no dump: it begins neither as an ELF or Mach-O core nor as a minidump")]
    NotADump,
    /// The input is an ELF or Mach-O file of another kind.
    #[error("this file is no core but a program or a library")]
    NotACore,
    /// The dump is of a machine that this program does not know.
    #[error(
        "this dump is of {what}; only dumps of 64-bit programs of Linux on x86 and of macOS \
         can be converted"
    )]
    OtherMachine {
        /// What machine.
        what: &'static str,
    },
    /// The input ends before anything that a dump is made of.
    #[error("this dump is cut off or damaged: {what}")]
    Damaged {
        /// What is missing or wrong.
        what: &'static str,
    },
    /// What was read does not fit the other format.
    #[error("the dump could not be laid out: {source}")]
    Format {
        /// Why.
        #[source]
        source: FormatError,
    },
    /// The destination refused the dump.
    #[error("the dump could not be written: {source}")]
    Output {
        /// What it said.
        #[source]
        source: io::Error,
    },
}
