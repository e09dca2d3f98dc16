use crate::own_process;
use crate::traces::{Traces, assert_childless};
use minidump_writer::{DumpOptions, Error, dump_self};
use std::io::{self, Write};
use std::panic::catch_unwind;

/// Takes `room` bytes and then does `then`.
struct Narrow {
    room: usize,
    then: fn() -> io::Result<usize>,
}

impl Write for Narrow {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return (self.then)();
        }
        let taken = buffer.len().min(self.room);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn full() -> io::Result<usize> {
    Err(io::Error::from_raw_os_error(libc::ENOSPC))
}

fn into_a_full_output() {
    let before = Traces::now();
    let whole = dump_self(&DumpOptions::default(), &mut io::sink()).unwrap().bytes;
    for room in [0, 1, usize::try_from(whole / 2).unwrap()] {
        let error = dump_self(&DumpOptions::default(), &mut Narrow { room, then: full }).unwrap_err();
        let Error::Output { source } = error else { panic!("{error}") };
        assert_eq!(source.raw_os_error(), Some(libc::ENOSPC));
        assert_childless();
    }
    assert_eq!(Traces::now(), before);
}

fn into_an_output_that_panics() {
    let before = Traces::now();
    let mut output = Narrow { room: 100, then: || std::panic::resume_unwind(Box::new(7_u32)) };
    let dump = std::panic::AssertUnwindSafe(|| dump_self(&DumpOptions::default(), &mut output));
    let panic = catch_unwind(dump).unwrap_err();
    assert_eq!(panic.downcast_ref::<u32>(), Some(&7));
    assert_childless();
    assert_eq!(Traces::now(), before);
    // And nobody waits for a turn that was never given back.
    let mut bytes = Vec::new();
    dump_self(&DumpOptions::default(), &mut bytes).unwrap();
    assert_eq!(bytes[..4], *b"MDMP");
}

#[test]
fn an_output_that_fails_is_an_error_and_the_helper_is_gone() {
    own_process::run("outputs::an_output_that_fails_is_an_error_and_the_helper_is_gone", into_a_full_output);
}

#[test]
fn an_output_that_panics_ends_the_helper_as_well() {
    own_process::run("outputs::an_output_that_panics_ends_the_helper_as_well", into_an_output_that_panics);
}
