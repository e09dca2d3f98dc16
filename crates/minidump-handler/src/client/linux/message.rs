//! The account of a crash, as its signal handler makes it.
#![expect(unsafe_code, reason = "what the kernel hands to signal handlers")]

use super::region::Region;
use super::sys;
use crate::protocol::{MOST_BYTES, MessageWriter, RequestKind, tag};
use libc::c_void;
use minidump_record::{Annotations, REGISTER_COUNT};
use std::{io, ptr};

/// What a signal handler was given.
#[derive(Debug, Clone, Copy)]
pub struct Signal {
    pub number: i32,
    /// The kernel's description; null where there is none.
    pub info: *const libc::siginfo_t,
    /// What the kernel saved of the thread; null where there is none.
    pub ucontext: *const c_void,
}

/// Offsets in bytes: `si_code` and the address of a fault in `siginfo_t` (<asm-generic/siginfo.h>); `gregs` in the kernel's
/// `ucontext` (<asm-generic/ucontext.h>), behind which is the address of the floating-point state.
const SI_CODE: usize = 8;
const SI_ADDR: usize = 16;
const GREGS: usize = 40;
const FPSTATE: usize = GREGS + REGISTER_COUNT * 8;
/// Index of RSP and RIP in `gregs`.
const RSP: usize = 15;
const RIP: usize = 16;

/// Bytes of the FXSAVE image, and where in it the kernel says whether an XSAVE image follows, and how long it is
/// (`magic1` and `xstate_size` of `struct _fpx_sw_bytes` in <asm/sigcontext.h>).
const FXSAVE: usize = 512;
const SW_MAGIC: usize = 464;
const SW_SIZE: usize = 480;
const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// The largest XSAVE image that is sent: AMX has 11 KiB.
const MOST_XSAVE: usize = 16 << 10;

impl Signal {
    /// The kernel's description, byte by byte.
    pub fn siginfo(&self) -> [u8; 128] {
        if self.info.is_null() {
            let mut told = [0; 128];
            let number = self.number.to_ne_bytes();
            told.iter_mut().zip(number).for_each(|(to, from)| *to = from);
            return told;
        }
        // SAFETY: the address that the kernel gave to the handler, of 128 bytes.
        unsafe { ptr::read_unaligned(self.info.cast()) }
    }

    /// `si_code`.
    pub fn code(&self) -> i32 {
        i32::from_ne_bytes(part(&self.siginfo(), SI_CODE))
    }

    /// The general registers at the crash.
    pub fn registers(&self) -> Option<[u64; REGISTER_COUNT]> {
        // SAFETY: the address that the kernel gave to the handler.
        (!self.ucontext.is_null())
            .then(|| unsafe { ptr::read_unaligned(self.ucontext.byte_add(GREGS).cast()) })
    }

    /// The stack pointer at the crash.
    pub fn stack_pointer(&self) -> u64 {
        self.registers().and_then(|registers| registers.get(RSP).copied()).unwrap_or(0)
    }

    /// What a fault is about: the address in the description, or the instruction pointer where it has none.
    pub fn address(&self) -> u64 {
        let fault = matches!(self.number, libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE);
        if fault && self.code() > 0 {
            return u64::from_ne_bytes(part(&self.siginfo(), SI_ADDR));
        }
        self.registers().and_then(|registers| registers.get(RIP).copied()).unwrap_or(0)
    }

    /// The floating-point and vector registers at the crash, as XSAVE wrote them.
    fn xsave(&self) -> &[u8] {
        if self.ucontext.is_null() {
            return &[];
        }
        // SAFETY: the address that the kernel gave to the handler; behind the registers it has put the address of the
        // floating-point state, or null. That is on the same stack, of the length it tells.
        unsafe {
            let state: *const u8 = ptr::read_unaligned(self.ucontext.byte_add(FPSTATE).cast());
            if state.is_null() {
                return &[];
            }
            let image = std::slice::from_raw_parts(state, FXSAVE);
            let word = |at: usize| u32::from_ne_bytes(part(image, at));
            let size = usize::try_from(word(SW_SIZE)).unwrap_or(0);
            let whole = word(SW_MAGIC) == FP_XSTATE_MAGIC1 && (FXSAVE..=MOST_XSAVE).contains(&size);
            std::slice::from_raw_parts(state, if whole { size } else { FXSAVE })
        }
    }
}

/// The bytes at an offset; zeros where there are none.
fn part<const SIZE: usize>(bytes: &[u8], at: usize) -> [u8; SIZE] {
    let mut found = [0; SIZE];
    found.iter_mut().zip(bytes.iter().skip(at)).for_each(|(to, from)| *to = *from);
    found
}

/// Writes the account of a crash. `about` are fields that were made ahead.
pub fn of_crash<'b>(
    buffer: &'b mut [u8],
    signal: &Signal,
    about: About,
    annotations: &Annotations,
) -> Option<&'b [u8]> {
    let mut writer = MessageWriter::new(buffer, RequestKind::Crash as u16)?;
    writer.field(tag::THREAD, &[&sys::thread_id().to_le_bytes()]);
    writer.field(tag::SIGINFO, &[&signal.siginfo()]);
    if let Some(registers) = signal.registers() {
        let words = registers.map(u64::to_le_bytes);
        writer.field(tag::REGISTERS, &[words.as_flattened()]);
    }
    let xsave = signal.xsave();
    if !xsave.is_empty() {
        writer.field(tag::XSAVE, &[xsave]);
    }
    about.append(&mut writer, annotations);
    Some(writer.finish())
}

/// Writes the wish for a dump of a program that goes on.
pub fn of_wish<'b>(
    buffer: &'b mut [u8],
    kind: RequestKind,
    (thread, reason): (i32, &str),
    about: About,
    annotations: &Annotations,
) -> Option<&'b [u8]> {
    let mut writer = MessageWriter::new(buffer, kind as u16)?;
    writer.field(tag::THREAD, &[&thread.to_le_bytes()]);
    writer.field(tag::REASON, &[reason.as_bytes()]);
    about.append(&mut writer, annotations);
    Some(writer.finish())
}

/// What a program said of itself when it installed the client: fields of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct About(&'static [u8]);

impl About {
    /// Makes the fields, in memory of `region`.
    pub fn new<'p>(region: &mut Region, attachments: impl Iterator<Item = &'p [u8]>) -> io::Result<Self> {
        let mut buffer = vec![0; MOST_BYTES / 2];
        let Some(mut writer) = MessageWriter::new(&mut buffer, 0) else { return Ok(Self::default()) };
        for path in attachments {
            writer.field(tag::ATTACHMENT, &[path]);
        }
        Ok(Self(region.copy(writer.fields())?))
    }

    fn append(self, writer: &mut MessageWriter<'_>, annotations: &Annotations) {
        writer.append(self.0);
        annotations.for_each(|key, value| {
            writer.field(tag::ANNOTATION, &[key, &[0], value]);
        });
    }
}
