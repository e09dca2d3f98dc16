//! Notes about one thread: `NT_PRSTATUS`, `NT_PRFPREG` (also called FPREGSET), `NT_X86_XSTATE`.

use super::fields::Fields;
use super::note::{CORE, FPREGSET, LINUX, Notes, PRSTATUS, X86_XSAVE_LAYOUT, X86_XSTATE, size_of_note};
use super::{amd64, status};
use minidump_snapshot::{Cpu, CpuState, Snapshot, Thread, XsaveComponent};

/// Size in bytes of the `NT_PRSTATUS` of x86-64.
const PRSTATUS_SIZE: usize = 336;

/// What all threads' notes tell of the process. It is looked up once.
pub(crate) struct Common<'a> {
    components: &'a [XsaveComponent],
    /// As in cores of Linux, all threads tell the signal that ended the process. BFD believes the last one.
    signal: u16,
    parent: u32,
    group: u32,
    session: u32,
    /// The thread that the text of /proc/PID/status is of, and its pending and blocked signals.
    signals: (Option<u32>, [u64; 2]),
}

impl<'a> Common<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let code = snapshot.exception.as_ref().and_then(|exception| u16::try_from(exception.code).ok());
        let text = snapshot.linux.as_ref().and_then(|facts| facts.status.as_deref()).unwrap_or_default();
        let sets = [b"SigPnd", b"SigBlk"].map(|name| status::signals(text, name).unwrap_or(0));
        Self {
            components: components(snapshot),
            signal: code.unwrap_or(0),
            parent: snapshot.process.parent_pid.unwrap_or(0),
            group: status::number(text, b"NSpgid").unwrap_or(0),
            session: status::number(text, b"NSsid").unwrap_or(0),
            signals: (status::number(text, b"Pid"), sets),
        }
    }

    /// Appends the notes of `thread`, with `between` behind the first of them.
    pub(crate) fn append(&self, thread: &Thread, between: &[u8], notes: &mut Notes) {
        // None of these is anywhere near the limit of a note.
        notes.push(CORE, PRSTATUS, &self.prstatus(thread));
        notes.append(between);
        if let Some(CpuState::Amd64(state)) = &thread.cpu {
            if let Some(image) = amd64::floating_point(state) {
                notes.push(CORE, FPREGSET, image);
            }
            if let Some(area) = amd64::extended(state, self.components) {
                notes.push(LINUX, X86_XSTATE, &area);
            }
        }
    }

    /// Size in bytes of what [`append`](Self::append) appends, without what comes between.
    pub(crate) fn size(&self, thread: &Thread) -> u64 {
        let mut size = size_of_note(CORE, PRSTATUS_SIZE);
        if let Some(CpuState::Amd64(state)) = &thread.cpu {
            size += amd64::floating_point(state).map_or(0, |image| size_of_note(CORE, image.len()));
            let area = amd64::extended_size(state, self.components);
            size += area.map_or(0, |area| size_of_note(LINUX, area));
        }
        size
    }

    /// `struct elf_prstatus` of <linux/elfcore.h>, 336 bytes on x86-64: signal, code, errno; current signal at 12;
    /// pending and blocked signals at 16; pid, parent, group, session at 32; four times at 48; registers at 112;
    /// whether floating-point registers follow at 328.
    ///
    /// The registers of a thread that could not be stopped are zero, but for those that are known otherwise.
    fn prstatus(&self, thread: &Thread) -> Vec<u8> {
        let (owner, signals) = self.signals;
        let signals = if owner == Some(thread.id) { signals } else { [0; 2] };
        let (registers, floating_point) = registers(thread);
        let times = thread.times.unwrap_or_default();
        Fields::with_capacity(PRSTATUS_SIZE)
            .u32(self.signal.into())
            .zeros_to(12)
            .u16(self.signal)
            .zeros_to(16)
            .words(&signals)
            .u32(thread.id)
            .u32(self.parent)
            .u32(self.group)
            .u32(self.session)
            .words(&timeval(times.user_us))
            .words(&timeval(times.kernel_us))
            .zeros_to(112)
            .words(&registers)
            .u32(u32::from(floating_point))
            .zeros_to(PRSTATUS_SIZE)
            .finish()
    }
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
