//! Registers of a thread that stands still.
#![expect(unsafe_code, reason = "calls of the system")]

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use super::xstate::XstateContext;
use super::{Context, native};
use crate::snapshot::CpuState;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, GetThreadContext};

const _: () = assert!(size_of::<native::Context>() >= size_of::<CONTEXT>());

/// The registers of a thread.
#[derive(Debug)]
pub struct Registers {
    /// Those that the program has.
    pub cpu: io::Result<CpuState>,
    /// Of a thread of a 32-bit program on a 64-bit system: the 64-bit ones.
    pub native: Option<CpuState>,
}

impl Registers {
    /// Those of a thread of which nothing is heard.
    pub fn missing() -> Self {
        Self { cpu: Err(io::ErrorKind::TimedOut.into()), native: None }
    }
}

/// Reads registers of one thread after the other.
#[derive(Debug)]
pub struct Reader {
    /// Kept for the next thread.
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    xstate: Option<XstateContext>,
}

impl Reader {
    /// A reader that can tell as much as the processor has.
    pub fn new() -> Self {
        Self {
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            xstate: XstateContext::new(),
        }
    }

    /// The registers of `thread`, whose environment block is at `teb`.
    pub fn read(&mut self, thread: BorrowedHandle<'_>, teb: u64, is_wow64: bool) -> Registers {
        let own = self.native(thread, teb);
        #[cfg(target_pointer_width = "64")]
        if is_wow64 {
            let native = own.ok();
            return Registers { cpu: wow64(thread, native.as_ref()), native };
        }
        #[cfg(target_pointer_width = "32")]
        let _ = is_wow64;
        Registers { cpu: own, native: None }
    }

    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    fn native(&mut self, thread: BorrowedHandle<'_>, teb: u64) -> io::Result<CpuState> {
        // Should the system not like the longer structure, the plain one has all but what is new.
        if let Some((context, area)) = self.xstate.as_mut().and_then(|xstate| xstate.read(thread).ok()) {
            let mut cpu = context.decode(teb);
            match &mut cpu {
                CpuState::Amd64(state) => state.xsave = area,
                CpuState::X86(state) => state.xsave = area,
                _ => {}
            }
            return Ok(cpu);
        }
        plain(thread, teb)
    }

    #[cfg(target_arch = "aarch64")]
    #[expect(clippy::unused_self, reason = "other processors need it")]
    fn native(&mut self, thread: BorrowedHandle<'_>, teb: u64) -> io::Result<CpuState> {
        plain(thread, teb)
    }
}

fn plain(thread: BorrowedHandle<'_>, teb: u64) -> io::Result<CpuState> {
    let mut context = native::Context::empty();
    context.ask(native::Context::ALL);
    // SAFETY: the handle is open, and the pointer is to a structure of this size and alignment, all of whose bytes are set.
    let done = unsafe { GetThreadContext(thread.as_raw_handle(), (&raw mut context).cast::<CONTEXT>()) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(context.decode(teb)) }
}

/// The 32-bit registers of a thread. WOW64 has no more than the FXSAVE image of what the processor saves by XSAVE; the
/// 64-bit registers of the same thread have the rest.
#[cfg(target_pointer_width = "64")]
fn wow64(thread: BorrowedHandle<'_>, native: Option<&CpuState>) -> io::Result<CpuState> {
    use super::x86;
    use windows_sys::Win32::System::Diagnostics::Debug::{WOW64_CONTEXT, Wow64GetThreadContext};
    const _: () = assert!(size_of::<x86::Context>() >= size_of::<WOW64_CONTEXT>());
    const FXSAVE: usize = 512;

    let mut context = x86::Context::empty();
    context.ask(x86::Context::ALL);
    let place = (&raw mut context).cast::<WOW64_CONTEXT>();
    // SAFETY: the handle is open, and the pointer is to a structure of this size, which is aligned better than it needs to be.
    if unsafe { Wow64GetThreadContext(thread.as_raw_handle(), place) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let mut cpu = context.decode(0);
    if let (CpuState::X86(state), Some(CpuState::Amd64(native))) = (&mut cpu, native)
        && state.xsave.len() == FXSAVE
    {
        state.xsave.extend_from_slice(native.xsave.get(FXSAVE..).unwrap_or_default());
    }
    Ok(cpu)
}
