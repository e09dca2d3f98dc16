//! What the thread list, and the list of facts beside it, have for Windows alone.

use super::super::model::{Address, WindowsThread};
use super::super::raw_dump::RawDump;
use super::{entries, is_windows, u32_at, u64_at};
use minidump::system_info::Cpu;
use minidump::{MinidumpSystemInfo, MinidumpThread, MinidumpThreadList, UnifiedMemoryList};
use std::collections::HashMap;

/// Stream of facts about threads (`MINIDUMP_STREAM_TYPE`), the size of its entries, and where the start address lies in one.
const THREAD_INFO_LIST: u32 = 17;
const THREAD_INFO_SIZE: usize = 64;
const START_ADDRESS: usize = 48;
/// `LastErrorValue` of the environment block lies behind so many pointers (winternl.h and every version of it since).
const LAST_ERROR: u64 = 13;

/// What there is of each thread, by id; nothing when the dump is of another system.
pub fn threads(
    dump: &RawDump,
    system: &MinidumpSystemInfo,
    threads: &MinidumpThreadList,
    memory: &UnifiedMemoryList,
) -> HashMap<u32, WindowsThread> {
    if !is_windows(system) {
        return HashMap::new();
    }
    let starts = entries(dump, THREAD_INFO_LIST, THREAD_INFO_SIZE);
    let starts = starts.filter_map(|entry| Some((u32_at(entry, 0)?, u64_at(entry, START_ADDRESS)?)));
    let starts: HashMap<u32, u64> = starts.collect();
    let of = |thread: &MinidumpThread| {
        let raw = &thread.raw;
        let known = |address: &u64| *address != 0;
        let shown = WindowsThread {
            teb: Some(raw.teb).filter(known).map(Address),
            last_error: last_error(raw.teb, system.cpu, memory),
            suspend_count: raw.suspend_count,
            start_address: starts.get(&raw.thread_id).copied().filter(known).map(Address),
        };
        (raw.thread_id, shown)
    };
    threads.threads.iter().map(of).collect()
}

fn last_error(teb: u64, cpu: Cpu, memory: &UnifiedMemoryList) -> Option<u32> {
    let pointer = match cpu {
        Cpu::X86 | Cpu::Arm => 4,
        _ => 8,
    };
    let at = Some(teb).filter(|teb| *teb != 0)?.checked_add(LAST_ERROR * pointer)?;
    memory.memory_at_address(at)?.get_memory_at_address(at)
}
