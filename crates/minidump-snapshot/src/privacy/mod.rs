//! What keeps secrets out of a dump: wrappers of a [`MemorySource`](crate::MemorySource) that change what is read.

mod environ;
mod intervals;
mod masked;
mod sanitized;
mod secret_names;
mod wide_environ;

pub use environ::{Redacted, redact_environ};
pub use masked::MaskedMemory;
pub use sanitized::SanitizedMemory;
pub use wide_environ::{RedactedWide, redact_wide_environ};
