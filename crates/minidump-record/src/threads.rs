//! The other threads. Their registers cannot be read from inside the process; of those that wait in the kernel it
//! tells stack and instruction pointer, and so their stacks can be kept.

use crate::bytes::{Text, u16_at};
use crate::context::pointers_only;
use crate::crash_thread::{append_context, append_range, thread};
use crate::directory::{self, Stream};
use crate::maps::{Maps, hex, number};
use crate::memory::Memory;
use crate::notes::{Note, Notes, Stage};
use crate::output::{Full, Output};
use crate::proc_fs::ProcFs;
use crate::stack::{RED_ZONE, Range};
use crate::strings::append_utf16;
use crate::table::Table;

/// Most bytes kept of all stacks but the crashing thread's, of one of them, and of one of very many.
const TOTAL_CAP: u64 = 16 << 20;
const STACK_CAP: u64 = 64 << 10;
const LEAST_CAP: u64 = 4 << 10;
/// Most entries of /proc/self/task that are read. The kernel has no more threads (`PID_MAX_LIMIT`).
const MAX_ENTRIES: u32 = 1 << 22;

/// A thread. Pointers and stack are zero while they are unknown.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct ThreadRow {
    sp: u64,
    ip: u64,
    stack: Range,
    tid: i32,
    context: u32,
    name: u32,
    padding: u32,
}

/// Finds all threads but the crashing one.
pub(crate) fn find(
    proc_fs: &ProcFs,
    text: &mut [u8],
    crashed: i32,
    threads: &mut Table<'_, ThreadRow>,
    notes: &mut Notes,
) {
    // The main thread's folder lists the threads even when it has exited itself.
    let folder = match proc_fs.open(b"/proc/self/task\0", true) {
        Ok(folder) => folder,
        Err(error) => {
            return notes.add(&Note::new(Stage::ThreadFacts, "the threads are not listed").os_error(error));
        }
    };
    let mut left = MAX_ENTRIES;
    while left > 0 {
        let Ok(size @ 1..) = crate::sys::read_entries(folder.fd(), text) else { break };
        let mut entries = text.get(..size).unwrap_or_default();
        // linux_dirent64: inode, offset, u16 length at 16, type, name at 19 up to a zero.
        while let Some(length) = u16_at(entries, 16).map(usize::from).filter(|length| *length >= 20) {
            left = left.saturating_sub(1);
            let name = entries.get(19..length).unwrap_or_default();
            let tid = number(name, 10).and_then(|(tid, _)| i32::try_from(tid).ok());
            if let Some(tid) = tid.filter(|tid| *tid != crashed) {
                threads.push(row(proc_fs, tid));
            }
            entries = entries.get(length..).unwrap_or_default();
        }
    }
    report(threads, notes);
}

fn report(threads: &Table<'_, ThreadRow>, notes: &mut Notes) {
    if threads.lost() > 0 {
        notes.add(&Note::counted(Stage::ThreadFacts, "threads without room", threads.lost()));
    }
    if threads.rows().is_empty() {
        return;
    }
    notes.add(&Note::new(
        Stage::ThreadFacts,
        "the other threads were not stopped: their stacks may have changed while they were copied, and of their \
         registers only stack and instruction pointer are known",
    ));
    let running = threads.rows().iter().filter(|row| row.sp == 0).count() as u64;
    if running > 0 {
        let message =
            "threads that were running or are hidden, of which neither registers nor stacks are known";
        notes.add(&Note::counted(Stage::ThreadFacts, message, running));
    }
}

fn path(tid: i32, file: &[u8]) -> Text<64> {
    let mut text = Text::new();
    text.push(b"/proc/self/task/").number(tid.unsigned_abs().into()).push(b"/").push(file).push(b"\0");
    text
}

fn row(proc_fs: &ProcFs, tid: i32) -> ThreadRow {
    let mut text = [0; 256];
    let file = proc_fs.open(path(tid, b"syscall").as_bytes(), false);
    // The kernel makes the whole text at the first read.
    let size = file.and_then(|file| file.read(&mut text)).unwrap_or(0);
    let (sp, ip) = pointers(text.get(..size).unwrap_or_default()).unwrap_or_default();
    ThreadRow { sp, ip, stack: Range { start: sp, size: 0, rva: 0 }, tid, context: 0, name: 0, padding: 0 }
}

/// Stack and instruction pointer, the last two words of /proc/PID/syscall (proc(5)). A thread that runs has none.
fn pointers(text: &[u8]) -> Option<(u64, u64)> {
    let mut words = text.trim_ascii().rsplit(|byte| *byte == b' ');
    let mut word = || Some(hex(words.next()?.strip_prefix(b"0x")?)?.0);
    let (ip, sp) = (word()?, word()?);
    Some((sp, ip))
}

/// Appends stacks and pointers of the threads that were found, as far as they are known.
pub(crate) fn append_stacks(
    out: &mut Output<'_>,
    memory: &mut Memory<'_>,
    maps: &mut Maps<'_>,
    threads: &mut Table<'_, ThreadRow>,
    ranges: &mut Table<'_, Range>,
) -> Result<(), Full> {
    let count = u64::from(threads.count()).max(1);
    let cap = (TOTAL_CAP / count).clamp(LEAST_CAP, STACK_CAP);
    while let Some(mapping) = maps.next() {
        if !mapping.is_stack_like() {
            continue;
        }
        for row in threads.rows_mut().iter_mut().filter(|row| mapping.contains(row.sp)) {
            let start = row.sp.saturating_sub(RED_ZONE).max(mapping.start);
            let end = start.saturating_add(cap).min(mapping.end);
            let overlaps =
                |range: &Range| range.start < end && start < range.start.saturating_add(range.size.into());
            if ranges.rows().iter().any(overlaps) {
                continue;
            }
            row.stack = append_range(out, memory, (start, end)).map_err(|_| Full)?;
            if row.stack.size > 0 {
                ranges.push(row.stack);
            }
        }
    }
    for row in threads.rows_mut().iter_mut().filter(|row| row.sp != 0) {
        out.align(16)?;
        row.context = out.rva();
        append_context(out, |fields| pointers_only(fields, row.sp, row.ip))?;
    }
    Ok(())
}

/// Appends the lists of all threads and of all memory, in place of those that told of the crashing thread alone.
pub(crate) fn append_lists(
    out: &mut Output<'_>,
    (crashed, context): (i32, u32),
    threads: &Table<'_, ThreadRow>,
    ranges: &Table<'_, Range>,
    stack: Option<Range>,
) -> Result<(), Full> {
    out.align(4)?;
    let rva = out.rva();
    out.append(&threads.count().saturating_add(1).to_le_bytes())?;
    let stack = stack.unwrap_or(Range { start: 0, size: 0, rva: 0 });
    out.append(&thread(crashed, stack, Some(context)))?;
    for row in threads.rows() {
        out.append(&thread(row.tid, row.stack, Some(row.context).filter(|rva| *rva != 0)))?;
    }
    directory::enter_since(out, Stream::ThreadList, rva)?;
    let rva = out.rva();
    out.append(&ranges.count().to_le_bytes())?;
    for range in ranges.rows() {
        out.append(&range.start.to_le_bytes())?;
        out.append(&range.size.to_le_bytes())?;
        out.append(&range.rva.to_le_bytes())?;
    }
    directory::enter_since(out, Stream::MemoryList, rva)
}

/// Appends the names of all threads, the crashing one first.
pub(crate) fn append_names(
    out: &mut Output<'_>,
    proc_fs: &ProcFs,
    crashed: i32,
    threads: &mut Table<'_, ThreadRow>,
) -> Result<(), Full> {
    let first = append_name(out, proc_fs, crashed)?;
    for row in threads.rows_mut() {
        row.name = append_name(out, proc_fs, row.tid)?;
    }
    let named = threads.rows().iter().map(|row| (row.tid, row.name));
    let named = || core::iter::once((crashed, first)).chain(named.clone()).filter(|(_, name)| *name != 0);
    out.align(4)?;
    let rva = out.rva();
    let count = named().fold(0_u32, |count, _| count.saturating_add(1));
    out.append(&count.to_le_bytes())?;
    for (tid, name) in named() {
        // MINIDUMP_THREAD_NAME: thread id, then the offset in 64 bits.
        out.append(&tid.to_le_bytes())?;
        out.append(&u64::from(name).to_le_bytes())?;
    }
    directory::enter_since(out, Stream::ThreadNames, rva)
}

/// The offset of the thread's name; zero when it has none.
fn append_name(out: &mut Output<'_>, proc_fs: &ProcFs, tid: i32) -> Result<u32, Full> {
    let mut text = [0; 64];
    let Ok(file) = proc_fs.open(path(tid, b"comm").as_bytes(), false) else { return Ok(0) };
    let size = file.read(&mut text).unwrap_or(0);
    let name = text.get(..size).unwrap_or_default();
    let name = name.strip_suffix(b"\n").unwrap_or(name);
    if name.is_empty() { Ok(0) } else { append_utf16(out, name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_the_last_two_words() {
        let waiting = b"202 0x7f 0x189 0x2 0x0 0x0 0x0 0x7ffd1230 0x7f0a4560\n";
        assert_eq!(pointers(waiting), Some((0x7ffd_1230, 0x7f0a_4560)));
        assert_eq!(pointers(b"-1 0x7ffd1230 0x7f0a4560\n"), Some((0x7ffd_1230, 0x7f0a_4560)));
        for nothing in [&b"running\n"[..], b"", b"0x1", b"a b c"] {
            assert_eq!(pointers(nothing), None);
        }
    }
}
