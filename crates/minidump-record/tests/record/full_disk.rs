//! When the file cannot be written to its end, its beginning is a dump.

use super::child::{CRASH_MARK, EXIT_OUTPUT, FILE, SCENARIO};
use super::dump::{crash_over, holds};
use minidump::{MinidumpModuleList, MinidumpThreadNames};
use std::process::Command;

/// Largest file that the child may write: the small streams, and some of the stack.
pub const LIMIT: u64 = 6000;

#[test]
fn the_essentials_survive_and_the_dump_says_what_happened() {
    let dump = crash_over("small-disk", b"");
    assert_eq!(dump.exit, Some(EXIT_OUTPUT));
    assert_eq!(dump.bytes.len() as u64, LIMIT);
    let read = dump.read();
    assert_eq!(read.exception.raw.exception_record.exception_address, 0x18);
    let (start, bytes) = read.stack();
    assert!((1000..3000).contains(&bytes.len()), "{}", bytes.len());
    assert!(start <= read.sp() && read.sp() < start + bytes.len() as u64);
    assert!(holds(&bytes, CRASH_MARK));
    assert!(read.file.get_stream::<MinidumpModuleList>().is_err());
    assert!(read.file.get_stream::<MinidumpThreadNames>().is_err());
    let errors = read.soft_errors();
    let last = errors.last().unwrap();
    assert_eq!(last["os_error"], 27, "EFBIG: {last}");
    assert!(last["message"].as_str().unwrap().contains("streams are missing"));
}

#[test]
fn a_device_that_is_full_is_an_error() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let status = child.env(SCENARIO, "null").env(FILE, "/dev/full").status().unwrap();
    assert_eq!(status.code(), Some(EXIT_OUTPUT));
}
