//! What a program asks of the handler.

use super::fields::{Fields, Malformed, number};
use std::path::PathBuf;

/// Tags of the fields of a request.
pub mod tag {
    /// Id of the thread that is to be blamed, as the program knows it: i32.
    pub const THREAD: u16 = 1;
    /// The kernel's `siginfo_t`: 128 bytes (<asm-generic/siginfo.h>).
    pub const SIGINFO: u16 = 2;
    /// General registers at the crash: `uc_mcontext.gregs` of <sys/ucontext.h>, 23 words.
    pub const REGISTERS: u16 = 3;
    /// Floating-point and vector registers at the crash, as XSAVE writes them in its standard format; at least 512 bytes.
    pub const XSAVE: u16 = 4;
    /// An annotation: key, a zero byte, value.
    pub const ANNOTATION: u16 = 5;
    /// The path of a file to be kept with the dump.
    pub const ATTACHMENT: u16 = 6;
    /// Why a dump is asked for, a text.
    pub const REASON: u16 = 7;
}

/// The most annotations and attachments of a request; more are passed over.
pub(super) const MOST_ANNOTATIONS: usize = 256;
pub(super) const MOST_ATTACHMENTS: usize = 64;
/// The longest text that is kept, in bytes.
const MOST_TEXT: usize = 4096;

/// Why a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum RequestKind {
    /// A signal is about to kill the program.
    Crash = 1,
    /// The program wants a dump and goes on.
    Dump = 2,
    /// A thread of the program has stopped beating.
    Hang = 3,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: RequestKind,
    /// The thread to blame, by the number it has in its own pid namespace.
    pub thread: i32,
    pub crash: Option<Frame>,
    pub annotations: Vec<(String, String)>,
    pub attachments: Vec<PathBuf>,
    pub reason: Option<String>,
}

/// What a signal handler saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub siginfo: [u8; 128],
    pub registers: [u64; 23],
    pub xsave: Vec<u8>,
}

impl Request {
    /// Reads a message.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let fields = Fields::of(message)?;
        let kind = match fields.kind {
            1 => RequestKind::Crash,
            2 => RequestKind::Dump,
            3 => RequestKind::Hang,
            other => return Err(Malformed::Kind(other)),
        };
        let mut read = Partial::default();
        for field in fields {
            let (tag, bytes) = field?;
            read.take(tag, bytes)?;
        }
        read.finish(kind)
    }
}

#[derive(Default)]
struct Partial {
    thread: Option<i32>,
    siginfo: Option<[u8; 128]>,
    registers: Option<[u64; 23]>,
    xsave: Vec<u8>,
    annotations: Vec<(String, String)>,
    attachments: Vec<PathBuf>,
    reason: Option<String>,
}

impl Partial {
    fn take(&mut self, tag: u16, bytes: &[u8]) -> Result<(), Malformed> {
        let wrong = Malformed::Missing(tag);
        match tag {
            tag::THREAD => {
                let id: [u8; 4] = bytes.try_into().map_err(|_| wrong)?;
                self.thread = Some(i32::from_le_bytes(id)).filter(|id| *id > 0);
            }
            tag::SIGINFO => self.siginfo = Some(bytes.try_into().map_err(|_| wrong)?),
            tag::REGISTERS => self.registers = Some(words(bytes).ok_or(wrong)?),
            // The processor's own layout is checked by those who read it.
            tag::XSAVE if bytes.len() >= 512 => self.xsave = bytes.to_vec(),
            tag::XSAVE => return Err(wrong),
            tag::REASON => self.reason = Some(text(bytes)),
            tag::ANNOTATION if self.annotations.len() < MOST_ANNOTATIONS => {
                self.annotations.push(annotation(bytes).ok_or(wrong)?);
            }
            tag::ATTACHMENT if self.attachments.len() < MOST_ATTACHMENTS => {
                self.attachments.push(path(bytes.get(..bytes.len().min(MOST_TEXT)).unwrap_or(&[])));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, kind: RequestKind) -> Result<Request, Malformed> {
        let thread = self.thread.ok_or(Malformed::Missing(tag::THREAD))?;
        let crash = match kind {
            RequestKind::Crash => Some(Frame {
                siginfo: self.siginfo.ok_or(Malformed::Missing(tag::SIGINFO))?,
                registers: self.registers.ok_or(Malformed::Missing(tag::REGISTERS))?,
                xsave: self.xsave,
            }),
            RequestKind::Dump | RequestKind::Hang => None,
        };
        let Self { annotations, attachments, reason, .. } = self;
        Ok(Request { kind, thread, crash, annotations, attachments, reason })
    }
}

fn words(bytes: &[u8]) -> Option<[u64; 23]> {
    if bytes.len() != 23 * 8 {
        return None;
    }
    Some(std::array::from_fn(|index| number(bytes, index * 8, 8)))
}

/// Key, a zero byte, value.
pub(super) fn annotation(bytes: &[u8]) -> Option<(String, String)> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let (key, value) = bytes.split_at_checked(end)?;
    Some((text(key), text(value.get(1..).unwrap_or(&[]))))
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Paths of other systems are texts.
#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(text(bytes))
}

/// A text of at most [`MOST_TEXT`] bytes; what is no UTF-8 is replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(MOST_TEXT)).unwrap_or(&[])).into_owned()
}

#[cfg(test)]
mod tests;
