//! Dumps of the calling process. docs/local-dumps.md tells how it is done, and what it cannot do.

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
#[path = "linux/mod.rs"]
mod platform;

#[cfg(target_os = "macos")]
#[path = "apple.rs"]
mod platform;

#[cfg(not(any(
    all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"),
    target_os = "macos"
)))]
#[path = "unsupported.rs"]
mod platform;

use crate::{DumpOptions, DumpReport, Error};
use std::io;

/// A stream of the application's own, its bytes ready.
///
/// Not a [`SectionWriter`](crate::formats::minidump::SectionWriter): that is code of the application, which would have
/// to run in the helper process, where the locks of other threads stay locked for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserStream<'a> {
    /// The stream type. Each may be in a file once; values below 0x10000 belong to Microsoft.
    pub stream_type: u32,
    /// The stream.
    pub bytes: &'a [u8],
}

/// Captures the calling process and writes a dump of it, front to back, to `output`.
///
/// A helper process, made by fork(2), traces this one as an outside dumper would; the calling thread takes the dump
/// from it and gives it to `output`. Locks that other threads hold do no harm. The calling thread is the blamed one
/// unless `options` name another or hold a crash. One dump is taken at a time; other threads wait for their turn.
///
/// A dump of all memory without [`DumpOptions::copy_on_write`] goes through a file without a name in `$TMPDIR`,
/// `/var/tmp` or `/tmp`, as nothing can take it while all threads stand still.
///
/// On macOS there is no helper: the process reads itself, and its other threads stand still only while their registers and
/// stacks are copied.
///
/// Not for crash handlers: a thread that crashed may itself hold the lock of the allocator, which fork(2) takes.
///
/// # Errors
/// When there is no dump: the helper cannot be made ([`Error::LocalHelper`]) or may not trace this process
/// ([`Error::PermissionDenied`]: not dumpable, Yama, seccomp), a debugger traces it already
/// ([`Error::AlreadyTraced`]), `output` fails, or anything else ([`Error::LocalDump`]).
pub fn dump_self(options: &DumpOptions, output: &mut dyn io::Write) -> Result<DumpReport, Error> {
    dump_self_with(options, &[], output)
}

/// As [`dump_self`], with streams of the application's own in the minidump.
///
/// # Errors
/// As [`dump_self`]; also when two streams have the same type.
pub fn dump_self_with(
    options: &DumpOptions,
    streams: &[UserStream<'_>],
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    platform::dump(options, streams, output)
}
