use super::registers::raw_state;
use crate::snapshot::{Crash, MemoryMode};
use crate::{DumpOptions, Error, Format, Pid};
use minidump_mach::{
    CaptureOptions, CrashedThread, ImageHeaders, MachCrash, MachException, PlanKind, ThreadPort,
};

/// What whoever holds the port of a task knows of it, besides what [`DumpOptions`] say.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TaskDetails {
    /// Why the process crashed, and the registers at that instant. Takes the place of [`DumpOptions::crash`].
    pub crash: Option<MachCrash>,
    /// Port of a thread that does nothing but handle the crash: the dump goes without it.
    pub handler_thread: Option<ThreadPort>,
    /// Path of the main executable, for the case that the process cannot tell.
    pub executable: Option<Vec<u8>>,
    /// Version of the bundle that the executable belongs to.
    pub bundle_version: Option<String>,
}

/// What to capture of process `pid`.
pub fn capture_options(
    pid: Pid,
    options: &DumpOptions,
    details: &TaskDetails,
) -> Result<CaptureOptions, Error> {
    if options.copy_on_write && options.memory.mode == MemoryMode::Full {
        let reason = "this system does not let one process fork another".to_owned();
        return Err(Error::CopyRefused { pid, reason });
    }
    let plan = match options.format {
        Format::MachOCore => PlanKind::Core,
        Format::Minidump | Format::ElfCore => PlanKind::Minidump,
    };
    Ok(CaptureOptions {
        plan,
        memory: options.memory.clone(),
        image_headers: ImageHeaders::Executing,
        blamed_thread: options.blamed_thread.map(u64::from),
        handler_thread: details.handler_thread,
        executable: details.executable.clone(),
        bundle_version: details.bundle_version.clone(),
        program: concat!("minidump-writer ", env!("CARGO_PKG_VERSION")).to_owned(),
        ..CaptureOptions::default()
    })
}

/// A crash in the words of this project, in those of Mach.
pub fn mach_crash(crash: &Crash) -> MachCrash {
    let exception = &crash.exception;
    let (kind, codes) = match *exception.parameters.as_slice() {
        [kind, first, second, ..] => (u32::try_from(kind).unwrap_or(exception.code), [first, second]),
        _ => (exception.code, [u64::from(exception.flags), exception.address]),
    };
    MachCrash {
        thread: CrashedThread::Id(u64::from(exception.thread)),
        exception: Some(MachException { kind, codes }),
        states: crash.cpu.as_ref().and_then(raw_state).into_iter().collect(),
    }
}
