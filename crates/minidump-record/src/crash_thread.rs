//! The essentials: why the process crashed, the crashing thread's registers, and its stack.

use crate::bytes::Fields;
use crate::context::{CONTEXT_DATA_SIZE, CONTEXT_SIZE};
use crate::directory::{self, Stream};
use crate::facts::Facts;
use crate::memory::Memory;
use crate::notes::NOTES_SIZE;
use crate::output::{Full, Output};
use crate::record::Crash;
use crate::stack::{Range, Window};
use crate::table::Table;

/// Bytes kept on either side of the instruction pointer.
const AROUND_IP: u64 = 128;
/// Offset of the stack's descriptor in `MINIDUMP_THREAD`.
const STACK: u64 = 24;
/// Entries of the first memory list: head and tail of the stack, and code.
const FIRST_RANGES: usize = 3;
/// Size of an exception's parameters, at most.
const MAX_PARAMETERS: usize = 15;

/// Where the small streams lie that are completed later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub context: u32,
    pub notes: u32,
    thread_list: u32,
    memory_list: u32,
}

/// Appends everything small that a reader cannot do without. The memory list is entered when there is memory.
pub(crate) fn append_essentials(
    out: &mut Output<'_>,
    crash: &Crash<'_>,
    facts: &Facts,
    pid: i32,
    notes: &[u8; NOTES_SIZE],
) -> Result<Places, Full> {
    out.align(16)?;
    let context = out.rva();
    append_context(out, |fields| crash.context.encode(fields))?;
    let exception = out.rva();
    out.append(&exception_stream(crash, context))?;
    directory::enter_since(out, Stream::Exception, exception)?;
    let system = facts.append_system_info(out)?;
    directory::enter_since(out, Stream::SystemInfo, system)?;
    let misc = out.rva();
    // MINIDUMP_MISC_INFO: size, flags (MINIDUMP_MISC1_PROCESS_ID), process id; the times are unknown.
    out.append(&Fields::<24>::new().u32(24).u32(1).u32(pid.cast_unsigned()).finish())?;
    directory::enter_since(out, Stream::MiscInfo, misc)?;
    let thread_list = out.rva();
    out.append(&1_u32.to_le_bytes())?;
    let stack = Range { start: crash.context.stack_pointer(), size: 0, rva: 0 };
    out.append(&thread(crash.tid, stack, Some(context)))?;
    directory::enter_since(out, Stream::ThreadList, thread_list)?;
    let notes_rva = out.rva();
    out.append(notes)?;
    directory::enter_since(out, Stream::SoftErrors, notes_rva)?;
    let memory_list = out.rva();
    out.append(&[0; 4 + 16 * FIRST_RANGES])?;
    out.flush()?;
    Ok(Places { context, notes: notes_rva, thread_list, memory_list })
}

/// Appends a context that `encode` fills in, in a function of its own: it is large, and the stack is small.
#[inline(never)]
pub(crate) fn append_context(
    out: &mut Output<'_>,
    encode: impl FnOnce(&mut Fields<CONTEXT_SIZE>),
) -> Result<(), Full> {
    let mut fields = Fields::new();
    encode(&mut fields);
    out.append(fields.as_bytes())
}

/// `MINIDUMP_EXCEPTION_STREAM` (minidumpapiset.h), 168 bytes.
fn exception_stream(crash: &Crash<'_>, context: u32) -> [u8; 168] {
    let count = u32::try_from(crash.parameters.len().min(MAX_PARAMETERS)).unwrap_or(0);
    let mut fields = Fields::new();
    fields.u32(crash.tid.cast_unsigned()).u32(0);
    fields.u32(crash.signal.cast_unsigned()).u32(crash.code.cast_unsigned()).u64(0);
    fields.u64(crash.address).u32(count).u32(0);
    for parameter in crash.parameters.iter().take(MAX_PARAMETERS) {
        fields.u64(*parameter);
    }
    fields.at(160).u32(CONTEXT_DATA_SIZE).u32(context).finish()
}

/// `MINIDUMP_THREAD` (minidumpapiset.h), 48 bytes.
pub(crate) fn thread(tid: i32, stack: Range, context: Option<u32>) -> [u8; 48] {
    let mut fields = Fields::new();
    fields.u32(tid.cast_unsigned()).at(24).u64(stack.start).u32(stack.size).u32(stack.rva);
    match context {
        Some(rva) => fields.u32(CONTEXT_DATA_SIZE).u32(rva).finish(),
        None => fields.finish(),
    }
}

/// Appends the memory of the crashing thread and lists it. What of it reaches the file is listed although the disk may
/// be full.
pub(crate) fn append_memory(
    out: &mut Output<'_>,
    memory: &mut Memory<'_>,
    ranges: &mut Table<'_, Range>,
    (places, ip): (Places, u64),
    window: Option<Window>,
) -> Result<(), Full> {
    let stack = window.map(|window| append_range(out, memory, window.head));
    if let Some(Ok(stack) | Err(stack)) = stack.filter(|stack| has_bytes(*stack)) {
        ranges.push(stack);
        let rva = u64::from(places.thread_list).saturating_add(4).saturating_add(STACK);
        out.patch(rva, &Fields::<16>::new().u64(stack.start).u32(stack.size).u32(stack.rva).finish())?;
    }
    let around = (ip.saturating_sub(AROUND_IP), ip.saturating_add(AROUND_IP));
    let tail = window.and_then(|window| window.tail);
    // Readers refuse memory that is there twice.
    let overlaps = |range: (u64, u64)| range.0 < around.1 && around.0 < range.1;
    let is_taken = window.is_some_and(|window| overlaps(window.head)) || tail.is_some_and(overlaps);
    let code = if is_taken { None } else { code_around(memory, ip, around) };
    let rest = [code, tail];
    for range in rest.into_iter().flatten() {
        if let Ok(range) = append_range(out, memory, range)
            && range.size > 0
        {
            ranges.push(range);
        }
    }
    patch_list(out, places, ranges.rows())
}

fn has_bytes(stack: Result<Range, Range>) -> bool {
    let (Ok(range) | Err(range)) = stack;
    range.size > 0
}

fn patch_list(out: &mut Output<'_>, places: Places, rows: &[Range]) -> Result<(), Full> {
    let count = u32::try_from(rows.len()).unwrap_or(0);
    let mut list = Fields::<{ 4 + 16 * FIRST_RANGES }>::new();
    list.u32(count);
    for row in rows {
        list.u64(row.start).u32(row.size).u32(row.rva);
    }
    out.patch(places.memory_list.into(), &list.finish())?;
    let size = count.saturating_mul(16).saturating_add(4);
    directory::enter(out, Stream::MemoryList, places.memory_list, size)
}

/// The part of the code around the instruction pointer that can be read: of its own page, and of the one beside it.
fn code_around(memory: &mut Memory<'_>, ip: u64, (start, end): (u64, u64)) -> Option<(u64, u64)> {
    const PAGE: u64 = 0x1000;
    let mut byte = [0];
    if memory.read(ip, &mut byte) == 0 {
        return None;
    }
    let start = if memory.read(start, &mut byte) == 1 { start } else { ip & !(PAGE - 1) };
    Some((start, end))
}

/// Appends memory up to the first byte that cannot be read. What is in the file when it is full is the error.
pub(crate) fn append_range(
    out: &mut Output<'_>,
    memory: &mut Memory<'_>,
    (start, end): (u64, u64),
) -> Result<Range, Range> {
    let none = Range { start, size: 0, rva: 0 };
    out.align(16).map_err(|_| none)?;
    let rva = out.rva();
    let mut at = start;
    let mut is_full = false;
    while at < end && !is_full {
        match out.append_with(end.saturating_sub(at), |buffer| memory.read(at, buffer)) {
            Ok(0) => break,
            Ok(done) => at = at.saturating_add(done as u64),
            Err(Full) => is_full = true,
        }
    }
    is_full |= out.flush().is_err();
    let there = out.written().saturating_sub(rva.into()).min(at.saturating_sub(start));
    let range = Range { start, size: u32::try_from(there).unwrap_or(0), rva };
    if is_full { Err(range) } else { Ok(range) }
}
