//! The stop, and what is done in it.

use crate::{
    buffers::Buffers,
    maps,
    sys::{self, Range},
};
use libc::pid_t;
use std::{
    fs::File,
    io::{self, Seek},
    time::Instant,
};

/// Kinds of register sets (`<elf.h>`).
const NT_PRSTATUS: usize = 1;
const NT_X86_XSTATE: usize = 0x202;
/// Most ranges that one `process_vm_readv` takes (IOV_MAX, `<limits.h>`).
const IOV_MAX: usize = 1024;
/// Offset of the length and of the name in `struct linux_dirent64` (getdents64(2)).
const RECORD_LENGTH: usize = 16;
const NAME: usize = 19;

/// Does it once, and returns the line to print.
pub fn run(pid: Option<&str>) -> Result<String, String> {
    let pid: pid_t = pid.and_then(|text| text.parse().ok()).ok_or("usage: floor PID")?;
    measure(pid).map_err(|error| format!("process {pid}: {error}"))
}

fn measure(pid: pid_t) -> io::Result<String> {
    let mut tasks = File::open(format!("/proc/{pid}/task"))?;
    let maps = File::open(format!("/proc/{pid}/maps"))?;
    let mut tids = Vec::with_capacity(1 << 16);
    list(&mut tasks, &mut vec![0; 64 << 10], &mut tids)?;
    let mut buffers = Buffers::new(tids.len());

    let mut last = Instant::now();
    let mut asked = None;
    let mut stopped = 0;
    loop {
        list(&mut tasks, &mut buffers.folder, &mut tids)?;
        if tids.len() == stopped {
            break;
        }
        // Threads are listed in the order of their birth, so those that are new stand behind the others.
        stop(tids.get(stopped..).unwrap_or_default(), &mut asked)?;
        stopped = tids.len();
    }
    let attach = lap(&mut last);
    for (tid, (general, extended)) in tids.iter().zip(buffers.registers.slots()) {
        sys::registers(*tid, NT_PRSTATUS, general)?;
        sys::registers(*tid, NT_X86_XSTATE, extended)?;
    }
    let registers = lap(&mut last);
    maps::read(&maps, &mut buffers.text, &mut buffers.ranges)?;
    let map = lap(&mut last);
    let bytes = stacks(pid, stopped, &mut buffers)?;
    let copy = lap(&mut last);
    for tid in &tids {
        sys::detach(*tid)?;
    }
    let detach = lap(&mut last);
    let window = asked.map_or(0, |mut asked| lap(&mut asked));
    Ok(format!(
        r#"{{"stopped_us":{window},"attach_us":{attach},"registers_us":{registers},"maps_us":{map},"stacks_us":{copy},"detach_us":{detach},"threads":{stopped},"mappings":{},"stack_bytes":{bytes}}}"#,
        buffers.ranges.len(),
    ))
}

/// Microseconds since `last`, which becomes now.
fn lap(last: &mut Instant) -> u128 {
    let time = last.elapsed();
    *last = Instant::now();
    time.as_micros()
}

/// Stops these threads. `asked` is when the first of all was asked to.
fn stop(tids: &[pid_t], asked: &mut Option<Instant>) -> io::Result<()> {
    for tid in tids {
        sys::seize(*tid)?;
    }
    asked.get_or_insert_with(Instant::now);
    for tid in tids {
        sys::interrupt(*tid)?;
    }
    for tid in tids {
        if !sys::wait(*tid)? {
            return Err(io::Error::other(format!("thread {tid} ended")));
        }
    }
    Ok(())
}

/// Puts the ids of all threads into `tids`, replacing what is there.
fn list(folder: &mut File, buffer: &mut [u8], tids: &mut Vec<pid_t>) -> io::Result<()> {
    tids.clear();
    folder.rewind()?;
    loop {
        let size = sys::entries(folder, buffer)?;
        if size == 0 {
            return Ok(());
        }
        let mut records = buffer.get(..size).unwrap_or_default();
        while let Some(&[low, high]) = records.get(RECORD_LENGTH..RECORD_LENGTH + 2) {
            let length = usize::from(u16::from_ne_bytes([low, high]));
            tids.extend(records.get(NAME..length).and_then(id));
            records = records.get(length..).unwrap_or_default();
        }
    }
}

/// The number that a NUL-terminated name is.
fn id(name: &[u8]) -> Option<pid_t> {
    let name = name.split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// Copies all stacks. Returns their bytes.
fn stacks(pid: pid_t, threads: usize, buffers: &mut Buffers) -> io::Result<usize> {
    let ranges = &buffers.ranges;
    let found = buffers.registers.pointers().take(threads);
    let found = found.filter_map(|(stack, thread)| maps::stack(ranges, stack, thread));
    buffers.remote.extend(found.map(|range: Range| sys::remote(range)));
    let mut done = 0;
    for batch in buffers.remote.chunks(IOV_MAX) {
        let size: usize = batch.iter().map(|range| range.iov_len).sum();
        let Some(room) = buffers.stacks.get_mut(done..done + size) else {
            return Err(io::Error::other("the stacks are larger than expected"));
        };
        if sys::read_memory(pid, batch, room)? != size {
            return Err(io::Error::other("a stack could not be read"));
        }
        done += size;
    }
    Ok(done)
}
