//! Outputs that refuse bytes.

use crate::build::{arm64_registers, empty, full_source, module, plan, thread};
use minidump_formats::macho_core::{FormatError, MachoCoreOptions, layout};
use minidump_snapshot::Purpose;
use std::io::{self, Write};

/// Takes so many bytes and no more.
struct Full {
    left: usize,
    taken: Vec<u8>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = bytes.len().min(self.left);
        if size == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left -= size;
        self.taken.extend_from_slice(&bytes[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_is_full_at_any_byte_is_an_error_and_has_the_start_of_the_file() {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(1, arm64_registers(1)), thread(2, arm64_registers(2))];
    snapshot.modules = vec![module(0x1_0000_0000, b"/lib", 1)];
    let plan = plan(&[(0x1000, 0x123, Purpose::BlamedStack), (0x9000, 8, Purpose::Code)]);
    let source = full_source(&plan);
    let layout = layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap();
    let mut whole = Vec::new();
    layout.write(&source, &mut whole).unwrap();
    for left in 0..whole.len() {
        let mut output = Full { left, taken: Vec::new() };
        let error = layout.write(&source, &mut output).unwrap_err();
        let FormatError::Output { source } = error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        assert!(output.taken == whole[..left], "{left} bytes");
    }
}

#[test]
fn an_output_that_takes_a_byte_at_a_time_gets_the_same_file() {
    struct Slow(Vec<u8>);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend(bytes.first());
            Ok(bytes.len().min(1))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let snapshot = empty();
    let plan = plan(&[(0x1000, 0x123, Purpose::BlamedStack)]);
    let source = full_source(&plan);
    let layout = layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap();
    let (mut whole, mut slow) = (Vec::new(), Slow(Vec::new()));
    layout.write(&source, &mut whole).unwrap();
    layout.write(&source, &mut slow).unwrap();
    assert!(slow.0 == whole);
}
