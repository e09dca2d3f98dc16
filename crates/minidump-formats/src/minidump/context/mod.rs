//! CPU contexts, one file per architecture.

mod amd64;

pub use amd64::context as amd64_context;

use super::{FormatError, MemoryWriter};
use minidump_common::format::MINIDUMP_LOCATION_DESCRIPTOR;
use minidump_snapshot::{Cpu, CpuState, System, Thread};

/// Size in bytes of the largest context written here.
pub(crate) const CONTEXT_SIZE: usize = 1232;

/// Alignment of contexts in the file: that of `CONTEXT` on x86-64.
const CONTEXT_ALIGNMENT: usize = 16;

/// Appends the context of `thread`. The descriptor is zero when nothing is known of its registers.
///
/// A thread of which only stack and instruction pointer are known gets a context of these two whose flags claim the
/// control registers alone, so that readers can at least unwind it.
pub(crate) fn write_context(
    buffer: &mut MemoryWriter,
    thread: &Thread,
    system: &System,
) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
    let context = match (&thread.cpu, thread.fallback_sp_ip, &system.cpu) {
        (Some(CpuState::Amd64(state)), _, _) => amd64::context(state),
        (None, Some((sp, ip)), Cpu::Amd64 { .. }) => amd64::pointers_only(sp, ip),
        _ => return Ok(MINIDUMP_LOCATION_DESCRIPTOR::default()),
    };
    buffer.align(CONTEXT_ALIGNMENT);
    buffer.write(context)
}
