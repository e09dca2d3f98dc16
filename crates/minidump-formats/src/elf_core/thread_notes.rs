//! Notes about one thread: `NT_PRSTATUS`, `NT_PRFPREG` (also called FPREGSET), `NT_X86_XSTATE`.

use super::fields::Fields;
use super::note::{CORE, FPREGSET, LINUX, Notes, PRSTATUS, X86_XSAVE_LAYOUT, X86_XSTATE};
use super::{amd64, status};
use minidump_snapshot::{Cpu, CpuState, Snapshot, Thread, XsaveComponent};

/// The notes of `thread`, with `between` behind the first of them.
pub(crate) fn thread_notes(snapshot: &Snapshot, thread: &Thread, between: &[u8]) -> Vec<u8> {
    let mut notes = Notes::default();
    // None of these is anywhere near the limit of a note.
    notes.push(CORE, PRSTATUS, &prstatus(snapshot, thread));
    notes.append(between);
    if let Some(CpuState::Amd64(state)) = &thread.cpu {
        if let Some(image) = amd64::floating_point(state) {
            notes.push(CORE, FPREGSET, image);
        }
        if let Some(area) = amd64::extended(state, components(snapshot)) {
            notes.push(LINUX, X86_XSTATE, &area);
        }
    }
    notes.finish()
}

/// The note that tells what is where in the extended areas; it comes behind those of all threads.
pub(crate) fn extended_layout(snapshot: &Snapshot) -> Vec<u8> {
    let mut notes = Notes::default();
    if let Some(layout) = amd64::layout(components(snapshot)) {
        notes.push(LINUX, X86_XSAVE_LAYOUT, &layout);
    }
    notes.finish()
}

fn components(snapshot: &Snapshot) -> &[XsaveComponent] {
    match &snapshot.system.cpu {
        Cpu::Amd64 { xsave, .. } => xsave,
        _ => &[],
    }
}

/// `struct elf_prstatus` of <linux/elfcore.h>, 336 bytes on x86-64: signal, code, errno; current signal at 12; pending
/// and blocked signals at 16; pid, parent, group, session at 32; four times at 48; registers at 112; whether
/// floating-point registers follow at 328.
///
/// The registers of a thread that could not be stopped are zero, but for those that are known otherwise.
fn prstatus(snapshot: &Snapshot, thread: &Thread) -> Vec<u8> {
    // As in cores of Linux, all threads tell the signal that ended the process. BFD believes the last one.
    let signal =
        snapshot.exception.as_ref().and_then(|exception| u16::try_from(exception.code).ok()).unwrap_or(0);
    let text = snapshot.linux.as_ref().and_then(|facts| facts.status.as_deref()).unwrap_or_default();
    // The text is that of one thread.
    let own = if status::number(text, b"Pid") == Some(thread.id) { text } else { &[] };
    let (registers, floating_point) = registers(thread);
    let times = thread.times.unwrap_or_default();
    Fields::with_capacity(336)
        .u32(signal.into())
        .zeros_to(12)
        .u16(signal)
        .zeros_to(16)
        .u64(status::signals(own, b"SigPnd").unwrap_or(0))
        .u64(status::signals(own, b"SigBlk").unwrap_or(0))
        .u32(thread.id)
        .u32(snapshot.process.parent_pid.unwrap_or(0))
        .u32(status::number(text, b"NSpgid").unwrap_or(0))
        .u32(status::number(text, b"NSsid").unwrap_or(0))
        .words(&timeval(times.user_us))
        .words(&timeval(times.kernel_us))
        .zeros_to(112)
        .words(&registers)
        .u32(u32::from(floating_point))
        .zeros_to(336)
        .finish()
}

fn registers(thread: &Thread) -> ([u64; 27], bool) {
    match (&thread.cpu, thread.fallback_sp_ip) {
        (Some(CpuState::Amd64(state)), _) => (amd64::general(state), amd64::floating_point(state).is_some()),
        (_, Some((sp, ip))) => (amd64::pointers_only(sp, ip), false),
        _ => ([0; 27], false),
    }
}

/// `struct timeval`: seconds and microseconds.
fn timeval(us: u64) -> [u64; 2] {
    [us / 1_000_000, us % 1_000_000]
}
