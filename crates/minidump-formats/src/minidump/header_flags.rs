//! What the header says is in the file: bits of `MINIDUMP_TYPE`.
//!
//! Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ne-minidumpapiset-minidump_type>.

use super::memory_block::MemoryBlock;
use super::streams::count_of_regions;
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_snapshot::{Snapshot, WindowsFacts};

/// `MiniDumpWithHandleData`, `MiniDumpWithUnloadedModules`, `MiniDumpWithProcessThreadData`,
/// `MiniDumpWithFullMemoryInfo` and `MiniDumpWithThreadInfo`.
const WITH_HANDLE_DATA: u64 = 0x4;
const WITH_UNLOADED_MODULES: u64 = 0x20;
const WITH_PROCESS_THREAD_DATA: u64 = 0x100;
const WITH_FULL_MEMORY_INFO: u64 = 0x800;
const WITH_THREAD_INFO: u64 = 0x1000;

/// The flags that follow from the streams of the file, of which those are missing that `omitted` says, and from its memory.
pub(super) fn header_flags(
    snapshot: &Snapshot,
    block: &MemoryBlock<'_>,
    omitted: impl Fn(u32) -> bool,
) -> u64 {
    let flag = |bit: u64, stream: MINIDUMP_STREAM_TYPE, is_empty: bool| {
        if is_empty || omitted(stream.into()) { 0 } else { bit }
    };
    let windows = snapshot.windows.as_ref();
    let has_handles = windows.is_some_and(|facts| !facts.handles.is_empty()) || !snapshot.handles.is_empty();
    let has_unloaded = windows.is_some_and(|facts| !facts.unloaded_modules.is_empty());
    let has_blocks = windows.is_some_and(|facts| holds_blocks(snapshot, facts, block));
    flag(WITH_THREAD_INFO, MINIDUMP_STREAM_TYPE::ThreadInfoListStream, false)
        | flag(WITH_HANDLE_DATA, MINIDUMP_STREAM_TYPE::HandleDataStream, !has_handles)
        | flag(
            WITH_FULL_MEMORY_INFO,
            MINIDUMP_STREAM_TYPE::MemoryInfoListStream,
            count_of_regions(snapshot) == 0,
        )
        | flag(WITH_UNLOADED_MODULES, MINIDUMP_STREAM_TYPE::UnloadedModuleListStream, !has_unloaded)
        | if has_blocks { WITH_PROCESS_THREAD_DATA } else { 0 }
}

/// Whether the memory of the file has the environment blocks of the process and of all threads whose block is known.
fn holds_blocks(snapshot: &Snapshot, facts: &WindowsFacts, block: &MemoryBlock<'_>) -> bool {
    let holds = |address| block.locate(address, 1).is_some();
    let mut of_threads = snapshot.threads.iter().filter_map(|thread| thread.thread_pointer);
    facts.peb.is_some_and(holds) && of_threads.all(holds)
}
