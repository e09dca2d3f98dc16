//! Where there is no back end yet: compiles, and says so when asked for a dump.

use super::UserStream;
use crate::{DumpOptions, DumpReport, Error};
use std::io;

/// Fails.
///
/// # Errors
/// Always.
pub fn dump(
    _options: &DumpOptions,
    _streams: &[UserStream<'_>],
    _output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    Err(Error::Unsupported { system: std::env::consts::OS, processor: std::env::consts::ARCH })
}
