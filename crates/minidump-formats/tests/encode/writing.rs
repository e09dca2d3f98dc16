//! How the file reaches its output.

use crate::build::{bytes_at, empty, full_source, plan, registers, thread, write};
use minidump::Minidump;
use minidump_formats::minidump::{FormatError, LayoutOptions, layout};
use minidump_snapshot::{BufferSource, MemoryPlan, Purpose, Snapshot};
use std::io::{self, Cursor, IoSlice, Seek, SeekFrom, Write};

fn sample() -> (Snapshot, MemoryPlan) {
    let mut snapshot = empty();
    snapshot.threads.push(thread(1, registers(1)));
    let plan =
        plan(&[(0x1000, 0x3000, Purpose::Stack), (0x9000, 0x100, Purpose::Code)], &[(1, 0x1000, 0x3000)]);
    (snapshot, plan)
}

/// Takes `left` bytes, then refuses.
struct Full {
    left: usize,
    taken: Vec<u8>,
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = bytes.len().min(self.left);
        self.left -= size;
        self.taken.extend_from_slice(&bytes[..size]);
        if size == 0 { Err(io::Error::new(io::ErrorKind::StorageFull, "disk full")) } else { Ok(size) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_output_is_an_error_wherever_it_happens_and_what_it_took_is_the_start_of_the_file() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let source = full_source(&plan);
    let (whole, _) = write(&layout, &source);
    let memory = usize::try_from(layout.memory_offset()).unwrap();
    for left in [0, 3, 4, 5, memory - 1, memory, memory + 1, memory + 0x3000, whole.len() - 1] {
        let mut output = Full { left, taken: vec![] };
        let error = layout.write(&source, &mut output).unwrap_err();
        let FormatError::Output { source } = &error else { panic!("{error:?}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.to_string(), "the dump could not be written: disk full");
        assert_eq!(output.taken, whole[..left]);
    }
    let mut output = Full { left: whole.len(), taken: vec![] };
    layout.write(&source, &mut output).unwrap();
    assert_eq!(output.taken, whole);
}

/// Takes at most seven bytes at a time and is interrupted before each of them.
struct Slow {
    interrupted: bool,
    taken: Vec<u8>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = bytes.len().min(7);
        self.taken.extend_from_slice(&bytes[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn short_and_interrupted_writes_lose_nothing() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let source = full_source(&plan);
    let mut output = Slow { interrupted: false, taken: vec![] };
    layout.write(&source, &mut output).unwrap();
    assert_eq!(output.taken, write(&layout, &source).0);
}

/// Counts how often it is called.
#[derive(Default)]
struct Counting {
    calls: u32,
    taken: Vec<u8>,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        self.taken.write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_dump_of_many_threads_and_ranges_takes_few_writes() {
    let mut snapshot = empty();
    snapshot.threads = (1..=300).map(|id| thread(id, registers(id.into()))).collect();
    let ranges: Vec<_> = (1..=300).map(|index| (index << 16, 0x100, Purpose::Stack)).collect();
    let plan = plan(&ranges, &[]);
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let mut output = Counting::default();
    layout.write(&full_source(&plan), &mut output).unwrap();
    assert_eq!(output.taken, write(&layout, &full_source(&plan)).0);
    // 12 batches of contexts; then 600 pieces for areas and gaps, and 300 for the memory, 256 in a call.
    assert!(output.calls <= 12 + 4 + 3, "{}", output.calls);
}

#[test]
fn the_same_layout_writes_the_same_file_twice() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    assert_eq!(write(&layout, &BufferSource::new()), write(&layout, &BufferSource::new()));
}

/// A seekable output that can fail and that remembers its state before every seek.
struct Recorded {
    file: Cursor<Vec<u8>>,
    before_seeks: Vec<Vec<u8>>,
    limit: u64,
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.position() + bytes.len() as u64 > self.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Recorded {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if to != SeekFrom::Current(0) {
            self.before_seeks.push(self.file.get_ref().clone());
        }
        self.file.seek(to)
    }
}

#[test]
fn where_the_output_can_seek_the_signature_is_written_last() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let source = full_source(&plan);
    let (whole, _) = write(&layout, &source);
    let mut output = Recorded { file: Cursor::new(vec![]), before_seeks: vec![], limit: u64::MAX };
    let written = layout.write_seekable(&source, &mut output).unwrap();
    assert_eq!(written.bytes, whole.len() as u64);
    assert_eq!(output.file.position(), whole.len() as u64, "left behind the last byte");
    assert_eq!(*output.file.get_ref(), whole);
    let before = &output.before_seeks[0];
    assert_eq!(before[..4], [0; 4]);
    assert_eq!(before[4..], whole[4..], "all else is there before the signature");
    assert!(Minidump::read(before.as_slice()).is_err());
}

#[test]
fn a_seekable_file_that_was_cut_off_is_no_minidump() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let limit = layout.total_size() - 1;
    let mut output = Recorded { file: Cursor::new(vec![]), before_seeks: vec![], limit };
    let error = layout.write_seekable(&full_source(&plan), &mut output).unwrap_err();
    assert!(matches!(error, FormatError::Output { .. }));
    assert_eq!(output.file.get_ref()[..4], [0; 4]);
    assert!(Minidump::read(output.file.get_ref().as_slice()).is_err());
}

#[test]
fn a_seekable_output_need_not_begin_at_zero() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let source = full_source(&plan);
    let mut output = Cursor::new(b"before".to_vec());
    output.seek(SeekFrom::End(0)).unwrap();
    layout.write_seekable(&source, &mut output).unwrap();
    assert_eq!(output.get_ref()[..6], *b"before");
    assert_eq!(output.get_ref()[6..], write(&layout, &source).0);
}

#[test]
fn a_file_cut_off_in_its_memory_still_tells_threads_and_registers() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    let (mut bytes, _) = write(&layout, &full_source(&plan));
    bytes.truncate(usize::try_from(layout.memory_offset()).unwrap() + 0x10);
    let dump = Minidump::read(bytes.as_slice()).unwrap();
    let threads = dump.get_stream::<minidump::MinidumpThreadList<'_>>().unwrap();
    let system = dump.get_stream::<minidump::MinidumpSystemInfo>().unwrap();
    let context = threads.threads[0].context(&system, None).unwrap();
    assert_eq!(context.get_instruction_pointer(), registers(1).rip);
}

#[test]
fn a_small_dump_is_small() {
    let (snapshot, plan) = sample();
    let layout = layout(&snapshot, &plan, &LayoutOptions::default()).unwrap();
    assert!(layout.memory_offset() < 8 << 10, "{}", layout.memory_offset());
    let (bytes, _) = write(&layout, &full_source(&plan));
    let memory = usize::try_from(layout.memory_offset()).unwrap();
    // Code is more important than a stack of a thread nobody blames.
    let expected = [bytes_at(0x9000, 0x100), bytes_at(0x1000, 0x3000)].concat();
    assert_eq!(bytes[memory..memory + 0x3100], expected);
}
