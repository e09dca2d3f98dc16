//! The names and the signatures that programs rely on. Nothing here runs.

use crash_context::CrashContext;
use minidump_writer::crash_context::CrashContext as SameCrashContext;
use minidump_writer::errors::Error;
use minidump_writer::minidump_writer::MinidumpWriter;
use std::fs::File;

type Result = std::result::Result<(), Error>;

#[test]
fn functions_take_what_programs_pass() {
    type Local = fn(Option<i32>, Option<u32>, Option<minidump_writer::MinidumpType>, &mut File) -> Result;
    let _: Local = MinidumpWriter::dump_local_context;
    // minidumper 0.8, on version 0.8 and 0.10.
    let _ = |context: CrashContext, file: &mut File| MinidumpWriter::dump_crash_context(context, None, file);
    // minidumper 0.9 and later, on version 0.11 and later.
    let _ = |context: CrashContext, file: &mut File| MinidumpWriter::dump_crash_context(&context, None, file);
    let _: fn(SameCrashContext) -> CrashContext = |same| same;
}

#[test]
fn functions_can_be_named() {
    type Crash<C> = fn(C, Option<minidump_writer::MinidumpType>, &mut File) -> Result;
    let _: Crash<CrashContext> = MinidumpWriter::dump_crash_context::<CrashContext>;
    let _: Crash<&CrashContext> = MinidumpWriter::dump_crash_context::<&CrashContext>;
}

/// Names each variant of the published crate, and nothing else.
#[test]
fn the_variants_of_the_error_are_all_that_there_are() {
    fn all(error: &Error) -> &'static str {
        match error {
            Error::Io(_) => "io",
            Error::Scroll(_) => "scroll",
            Error::ThreadOpen(_) => "open",
            Error::ThreadSuspend(_) => "suspend",
            Error::ThreadContext(_) => "context",
        }
    }
    assert_eq!(all(&Error::from(std::io::Error::other("x"))), "io");
    fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}
    is_an_error::<Error>();
}
