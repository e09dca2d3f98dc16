//! Whom there is no dump of, and why.

use crate::target::Target;
use minidump_writer::UserStream;
use minidump_writer::errors::{Error, FailedCall, Subject};
use minidump_writer::minidump_writer::{DumpDetails, MinidumpWriter};
use std::fs::File;

#[test]
fn a_process_that_is_gone_is_told_and_the_file_left_alone() {
    let mut file = tempfile::tempfile().unwrap();
    file.set_len(7).unwrap();
    let context = {
        let target = Target::start();
        let crash = target.fact("crash");
        target.crash_context(crash[0], crash[1], 5)
    };
    let error = MinidumpWriter::dump_crash_context(&context, None, &mut file).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("process {}", context.process_id)), "{text}");
    assert!(text.ends_with("; there is no process of this id") || text.contains("has exited"), "{text}");
    assert_eq!(file.metadata().unwrap().len(), 7);
}

#[test]
fn a_file_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump");
    std::fs::write(&path, "what was there").unwrap();
    let error =
        MinidumpWriter::dump_local_context(None, None, None, &mut File::open(&path).unwrap()).unwrap_err();
    let call = FailedCall::of(&error).unwrap();
    assert_eq!((call.call, call.subject), ("SetEndOfFile", Subject::Destination));
    assert!(error.to_string().ends_with("; it must be a file that is open for writing"), "{error}");
    assert!(matches!(error, Error::Io(_)));
    assert_eq!(std::fs::read(&path).unwrap(), b"what was there");
}

#[test]
fn a_thread_of_another_process_cannot_be_shown() {
    let target = Target::start();
    let thread = u32::try_from(target.fact("parked")[0]).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    let error = MinidumpWriter::dump_local_context(None, Some(thread), None, &mut file).unwrap_err();
    assert!(matches!(error, Error::ThreadOpen(_)), "{error:?}");
    assert!(error.to_string().contains(&format!("belongs to process {}", target.pid())), "{error}");
}

#[test]
fn a_stream_of_a_type_that_is_taken_is_told() {
    let streams = [UserStream { stream_type: 3, bytes: b"threads" }];
    let mut details = DumpDetails::default();
    details.user_streams = &streams;
    let mut file = tempfile::tempfile().unwrap();
    let error = MinidumpWriter::dump_local_context_with(None, None, &details, &mut file).unwrap_err();
    assert!(error.to_string().contains("type 0x3 cannot be in the dump"), "{error}");
}
