use std::io;

/// Why there is no dump, or no such section.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Something lies where the 32-bit offsets of the format do not reach. Only memory may lie there.
    #[error("{size} bytes at offset {offset:#x} are out of reach of a 32-bit offset")]
    OutOfReach {
        /// Offset in the file.
        offset: u64,
        /// Size in bytes.
        size: u64,
    },
    /// A list has more entries than its 32-bit count can tell, or an index lies behind its end.
    #[error("{count} entries do not fit the list")]
    Count {
        /// The count or index.
        count: u64,
    },
    /// Two sections have the same stream type. Readers refuse such files.
    #[error("two sections have the stream type {stream_type:#x}")]
    DuplicateStream {
        /// The type.
        stream_type: u32,
    },
    /// A planned memory range runs over the end of the address space, or the plan as a whole over 2^64 bytes.
    #[error("the memory range at {address:#x} with {size} bytes runs over the end of the address space")]
    BadRange {
        /// First address.
        address: u64,
        /// Size in bytes.
        size: u64,
    },
    /// The core is of another system than the process.
    #[error(
        "a process of {system} cannot become {core} core; choose a minidump or the system's own core format"
    )]
    OtherSystem {
        /// Of which system the process is.
        system: &'static str,
        /// Which core was asked for, with its article.
        core: &'static str,
    },
    /// The process is of Windows, which has no core files.
    #[error("a process of Windows cannot become {core} core; choose a minidump")]
    NoCore {
        /// Which core was asked for, with its article.
        core: &'static str,
    },
    /// A structure could not be encoded.
    #[error("a structure could not be encoded: {source}")]
    Encode {
        /// What the encoder said.
        #[from]
        source: scroll::Error,
    },
    /// The output refused the dump.
    #[error("the dump could not be written: {source}")]
    Output {
        /// What it said.
        #[source]
        source: io::Error,
    },
}
