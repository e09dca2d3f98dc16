//! Builds for other systems do not know what belongs to a process of Linux.

use super::streams::Streams;
use crate::convert::{ConvertError, FileMemory};
use crate::snapshot::{LinuxFacts, Snapshot};

/// Refuses.
pub fn facts(_: &Streams<'_>) -> Result<LinuxFacts, ConvertError> {
    Err(ConvertError::OtherHost)
}

/// Adds nothing.
pub fn complete(_: &mut Snapshot, _: &FileMemory) {}
