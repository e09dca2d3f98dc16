//! Why the dump was taken.

use super::processor::Processor;
use super::streams::Streams;
use super::threads;
use crate::convert::words::{u32_at, u64_at};
use crate::snapshot::{CpuState, Exception, OperatingSystem, Snapshot, Thread};
use minidump_common::format::MINIDUMP_STREAM_TYPE;

const EXCEPTION: u32 = 6;
/// The code of a dump nobody crashed for: `MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED`, and Crashpad's on Apple's systems.
const DUMP_REQUESTED: u32 = 0xffff_ffff;
const SIMULATED: u32 = 0x4350_7378;
/// `EXC_RESOURCE` and `EXC_GUARD`, whose flags are the upper half of their first code.
const EXC_RESOURCE: u32 = 11;
const EXC_GUARD: u32 = 12;
/// Bit of `MDRawBreakpadInfo::validity`: the requesting thread is known.
const HAS_REQUESTING: u32 = 2;
/// Most parameters of an exception.
const MAX_PARAMETERS: u32 = 15;
/// Longest context of an exception.
const MAX_CONTEXT: u32 = 64 << 10;

/// Takes the crash over, its registers included: those in the thread list may be of a crash handler.
pub fn take(streams: &Streams<'_>, processor: Processor, snapshot: &mut Snapshot) {
    let raw = streams.get(EXCEPTION).unwrap_or_default();
    let word = |offset| u32_at(&raw, offset).unwrap_or(0);
    let Some(thread) = u32_at(&raw, 0).or_else(|| requesting(streams)) else { return };
    let index = snapshot.threads.iter().position(|known| known.id == thread);
    let Some(index) = index else { return };
    snapshot.blamed_thread = Some(thread);
    let code = word(8);
    if !raw.is_empty() && ![DUMP_REQUESTED, SIMULATED].contains(&code) {
        let count = usize::try_from(word(32).min(MAX_PARAMETERS)).unwrap_or(0);
        let parameters: Vec<u64> = (0..count).map_while(|index| u64_at(&raw, 40 + 8 * index)).collect();
        let address = u64_at(&raw, 24).unwrap_or(0);
        let flags = match snapshot.system.os {
            OperatingSystem::MacOs | OperatingSystem::Ios => mach_flags(code, word(12), &parameters),
            _ => word(12),
        };
        snapshot.exception = Some(Exception { thread, code, flags, address, parameters });
        let context = streams.at(word(164), word(160), MAX_CONTEXT);
        if let Some(known) = snapshot.threads.get_mut(index) {
            take_crash_registers(known, processor, context.as_deref());
        }
    }
    if let Some(front) = snapshot.threads.get_mut(..=index) {
        front.rotate_right(1);
    }
}

/// The registers at the crash, with what no context has: the segment bases and, if it is the same state, the whole of
/// the XSAVE area.
fn take_crash_registers(thread: &mut Thread, processor: Processor, context: Option<&[u8]>) {
    let before = thread.cpu.take();
    threads::take_context(thread, processor, context);
    match (before, &mut thread.cpu) {
        (Some(CpuState::Amd64(then)), Some(CpuState::Amd64(now))) => {
            (now.fs_base, now.gs_base, now.orig_rax) = (then.fs_base, then.gs_base, then.orig_rax);
            if then.xsave.starts_with(&now.xsave)
                || now.xsave.is_empty()
                || same_image(&then.xsave, &now.xsave)
            {
                now.xsave = then.xsave;
            }
        }
        (before, now @ None) => *now = before,
        _ => {}
    }
}

/// Whether two FXSAVE images hold the same registers. The last 48 bytes are the system's.
fn same_image(a: &[u8], b: &[u8]) -> bool {
    a.get(..464).is_some() && a.get(..464) == b.get(..464)
}

/// The thread that the dump was asked for, when there is no exception.
fn requesting(streams: &Streams<'_>) -> Option<u32> {
    let info = streams.get(MINIDUMP_STREAM_TYPE::BreakpadInfoStream.into())?;
    u32_at(&info, 8).filter(|_| u32_at(&info, 0).is_some_and(|valid| valid & HAS_REQUESTING != 0))
}

/// The flags that a snapshot has: always the lower half of the first code.
fn mach_flags(code: u32, flags: u32, parameters: &[u64]) -> u32 {
    let first = parameters.get(1).filter(|_| matches!(code, EXC_RESOURCE | EXC_GUARD));
    first.and_then(|first| u32::try_from(first & u64::from(u32::MAX)).ok()).unwrap_or(flags)
}
