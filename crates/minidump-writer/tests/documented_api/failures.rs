//! What callers are told when there is no dump.

use crate::target::Target;
use minidump_writer::Error;
use minidump_writer::errors::{FileWriterError, InitError, WriterError};
use minidump_writer::minidump_writer::MinidumpWriter;
use std::io::{self, Cursor, Seek, SeekFrom, Write};

/// Takes so many bytes and no more.
struct Full(Cursor<Vec<u8>>, usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.1 - self.0.get_ref().len();
        match bytes.len().min(room) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            fits => self.0.write(&bytes[..fits]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

#[test]
fn a_process_that_does_not_exist_is_named() {
    // Ids are below 2^22.
    let missing = (1 << 22) + 5;
    let error = MinidumpWriter::new(missing, missing).dump(&mut Cursor::new(Vec::new())).unwrap_err();
    assert!(
        matches!(&error, WriterError::InitError(InitError::Capture(Error::NoSuchProcess { pid })) if *pid == missing),
        "{error:?}"
    );
}

#[test]
fn a_destination_that_fails_is_told_from_a_target_that_does() {
    let target = Target::start();
    let mut full = Full(Cursor::new(Vec::new()), 5000);
    let error = target.writer().dump(&mut full).unwrap_err();
    match error {
        WriterError::FileWriterError(FileWriterError::IOError(error)) => {
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(full.0.get_ref()[..4], *b"MDMP", "what it took is the start of a dump");
    assert!(target.writer().dump(&mut Cursor::new(Vec::new())).is_ok(), "the target is as it was");
}
