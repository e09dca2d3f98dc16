//! CPU contexts, one file per architecture.

mod amd64;

pub use amd64::context as amd64_context;

use super::{FormatError, MemoryWriter};
use minidump_common::format::{CONTEXT_AMD64, MINIDUMP_LOCATION_DESCRIPTOR};
use minidump_snapshot::{Cpu, CpuState, System, Thread};

/// Size in bytes of every context written here. It is a multiple of [`CONTEXT_ALIGNMENT`].
pub(crate) const CONTEXT_SIZE: u32 = 1232;

/// Alignment of contexts in the file: that of `CONTEXT` on x86-64.
pub(crate) const CONTEXT_ALIGNMENT: usize = 16;

/// The context of `thread`; `None` when nothing is known of its registers.
///
/// A thread of which only stack and instruction pointer are known gets a context of these two whose flags claim the
/// control registers alone, so that readers can at least unwind it.
pub(crate) fn context_of(thread: &Thread, system: &System) -> Option<CONTEXT_AMD64> {
    match (&thread.cpu, thread.fallback_sp_ip, &system.cpu) {
        (Some(CpuState::Amd64(state)), _, _) => Some(amd64::context(state)),
        (None, Some((sp, ip)), Cpu::Amd64 { .. }) => Some(amd64::pointers_only(sp, ip)),
        _ => None,
    }
}

/// Whether [`context_of`] the thread is something.
pub(crate) fn has_context(thread: &Thread, system: &System) -> bool {
    let Cpu::Amd64 { .. } = system.cpu else { return thread.cpu.is_some() };
    thread.cpu.is_some() || thread.fallback_sp_ip.is_some()
}

/// Appends the context of `thread`. The descriptor is zero when there is none.
pub(crate) fn write_context(
    buffer: &mut MemoryWriter,
    thread: &Thread,
    system: &System,
) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
    let Some(context) = context_of(thread, system) else {
        return Ok(MINIDUMP_LOCATION_DESCRIPTOR::default());
    };
    buffer.align(CONTEXT_ALIGNMENT);
    buffer.write(context)
}
