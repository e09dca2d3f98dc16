//! Threads: the list, and what other streams tell of them.

use super::processor::{Context, Processor};
use super::streams::Streams;
use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::{CpuState, Thread, ThreadTimes};
use minidump_formats::minidump::{THREAD_EXTRA_STREAM, ThreadExtraFlags, XSAVE_LIST_STREAM};
use std::collections::HashMap;

const THREAD_LIST: u32 = 3;
const THREAD_INFO_LIST: u32 = 17;
const THREAD_NAMES: u32 = 24;
/// Size in bytes of `MINIDUMP_THREAD`, `MINIDUMP_THREAD_INFO`, `MINIDUMP_THREAD_NAME`.
const THREAD_SIZE: usize = 48;
const THREAD_INFO_SIZE: usize = 64;
const THREAD_NAME_SIZE: usize = 12;
/// Size in bytes of our own entries.
const EXTRA_SIZE: usize = 64;
const AREA_SIZE: usize = 16;
/// Most threads that are read.
const MAX_THREADS: usize = 1 << 16;
/// Largest XSAVE area. AMX makes areas of 11 KiB.
const MAX_AREA: u32 = 64 << 10;
/// Longest context.
const MAX_CONTEXT: u32 = 64 << 10;

/// Microseconds between 1601-01-01, where FILETIME begins, and 1970-01-01.
const US_1601_TO_1970: u64 = 11_644_473_600_000_000;
/// `MINIDUMP_THREAD_INFO_INVALID_INFO` and `MINIDUMP_THREAD_INFO_INVALID_CONTEXT` of `DumpFlags`: nothing is known, or
/// no times.
const NO_TIMES: u32 = 0x1 | 0x8;

/// The threads in the order of the list.
pub fn threads(streams: &Streams<'_>, processor: Processor) -> Vec<Thread> {
    let mut threads = Vec::new();
    for raw in streams.list(THREAD_LIST, THREAD_SIZE).into_iter().take(MAX_THREADS) {
        let word = |offset| u32_at(&raw, offset).unwrap_or(0);
        let mut thread = Thread::new(word(0));
        thread.priority = Some(word(12).cast_signed());
        take_context(&mut thread, processor, streams.at(word(44), word(40), MAX_CONTEXT).as_deref());
        threads.push(thread);
    }
    add_extras(streams, &mut threads);
    add_areas(streams, &mut threads);
    add_info(streams, &mut threads);
    add_names(streams, &mut threads);
    threads
}

/// Takes over registers from a context.
pub fn take_context(thread: &mut Thread, processor: Processor, bytes: Option<&[u8]>) {
    match bytes.and_then(|bytes| processor.parse(bytes)) {
        Some(Context::Full(state)) => thread.cpu = Some(state),
        Some(Context::Pointers(sp, ip)) => thread.fallback_sp_ip = Some((sp, ip)),
        None => {}
    }
}

/// Does something with each thread for which there is an entry; entries begin with the thread's id.
fn for_each(threads: &mut [Thread], entries: Vec<Vec<u8>>, mut take: impl FnMut(&mut Thread, &[u8])) {
    let by_id = entries.into_iter().filter_map(|entry| Some((u32_at(&entry, 0)?, entry)));
    let by_id: HashMap<u32, Vec<u8>> = by_id.collect();
    for thread in threads {
        if let Some(entry) = by_id.get(&thread.id) {
            take(thread, entry);
        }
    }
}

fn add_extras(streams: &Streams<'_>, threads: &mut [Thread]) {
    for_each(threads, streams.sized_list(THREAD_EXTRA_STREAM, EXTRA_SIZE), |thread, entry| {
        let flags = u32_at(entry, 4).unwrap_or(0);
        let word = |offset| u64_at(entry, offset).unwrap_or(0);
        if let Some(CpuState::Amd64(state)) = &mut thread.cpu
            && flags & ThreadExtraFlags::REGISTERS != 0
        {
            (state.fs_base, state.gs_base, state.orig_rax) = (word(8), word(16), word(24));
        }
        thread.thread_pointer = (flags & ThreadExtraFlags::THREAD_POINTER != 0).then(|| word(32));
        if flags & ThreadExtraFlags::POINTERS != 0 {
            thread.fallback_sp_ip = Some((word(40), word(48)));
        }
        let state = u32_at(entry, 56).and_then(char::from_u32);
        thread.state = state.filter(|_| flags & ThreadExtraFlags::STATE != 0);
    });
}

fn add_areas(streams: &Streams<'_>, threads: &mut [Thread]) {
    for_each(threads, streams.sized_list(XSAVE_LIST_STREAM, AREA_SIZE), |thread, entry| {
        let word = |offset| u32_at(entry, offset).unwrap_or(0);
        let area = streams.at(word(12), word(8), MAX_AREA);
        if let (Some(CpuState::Amd64(state)), Some(area)) = (&mut thread.cpu, area)
            && area.len() > state.xsave.len()
        {
            state.xsave = area;
        }
    });
}

fn add_info(streams: &Streams<'_>, threads: &mut [Thread]) {
    for_each(threads, streams.sized_list(THREAD_INFO_LIST, THREAD_INFO_SIZE), |thread, entry| {
        // Units of 100 ns.
        let time = |offset| u64_at(entry, offset).unwrap_or(0) / 10;
        thread.affinity = u64_at(entry, 56).filter(|mask| *mask != 0);
        if u32_at(entry, 4).unwrap_or(NO_TIMES) & NO_TIMES == 0 {
            let start_us = time(16).saturating_sub(US_1601_TO_1970);
            thread.times = Some(ThreadTimes { start_us, kernel_us: time(32), user_us: time(40) });
        }
    });
}

fn add_names(streams: &Streams<'_>, threads: &mut [Thread]) {
    for_each(threads, streams.list(THREAD_NAMES, THREAD_NAME_SIZE), |thread, entry| {
        let name = u64_at(entry, 4).and_then(|rva| streams.string(rva));
        thread.name = name.map(String::into_bytes);
    });
}
