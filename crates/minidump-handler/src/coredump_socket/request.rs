//! What kernel and handler say to each other before the core comes: `struct coredump_req`, `struct coredump_ack` and
//! `enum coredump_mark` of <linux/coredump.h>. All numbers are in the machine's own byte order.
#![expect(unsafe_code, reason = "recv with MSG_PEEK")]

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The kernel writes the core.
pub(super) const KERNEL: u64 = 1 << 0;
/// The process stays until the handler closes the connection.
pub(super) const WAIT: u64 = 1 << 3;
/// `COREDUMP_REQ_SIZE_VER0` and `COREDUMP_ACK_SIZE_VER0`.
const SMALLEST: u32 = 16;
/// A request that is larger than a page does not come from the kernel.
const LARGEST: u32 = 4096;

/// Which of the two forms of `kernel.core_pattern` the kernel follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `@/path`: it sends the core and waits for the handler if `core_pipe_limit` is not 0.
    Plain,
    /// `@@/path`: it has asked, and was told to send the core and to wait.
    Asked,
}

/// Comes to terms with the kernel. The core is what comes next. No wait takes longer than `patience`.
///
/// # Errors
/// When the other end does not speak so, or not in time.
pub fn agree(mut connection: &UnixStream, patience: Duration) -> io::Result<Form> {
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(patience))?;
    let first = peek(connection)?;
    let form = if first == *b"\x7fELF" {
        Form::Plain
    } else {
        let size = u32::from_ne_bytes(first);
        let acknowledgement = answer(&request(connection, size)?)?;
        connection.write_all(&acknowledgement)?;
        check_mark(connection)?;
        Form::Asked
    };
    connection.set_read_timeout(None)?;
    connection.set_write_timeout(None)?;
    Ok(form)
}

/// The first four bytes, which stay to be read: the size of a request, or the beginning of a core.
fn peek(connection: &UnixStream) -> io::Result<[u8; 4]> {
    let mut first = [0_u8; 4];
    let flags = libc::MSG_PEEK | libc::MSG_WAITALL;
    // SAFETY: `first` outlives the call and is as large as said.
    let count = unsafe { libc::recv(connection.as_raw_fd(), first.as_mut_ptr().cast(), first.len(), flags) };
    match usize::try_from(count) {
        Ok(count) if count == first.len() => Ok(first),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

fn request(mut connection: &UnixStream, size: u32) -> io::Result<Vec<u8>> {
    let size = usize::try_from(size).ok().filter(|_| (SMALLEST..=LARGEST).contains(&size));
    let mut request = vec![0; size.ok_or_else(|| strange("is no request for a core"))?];
    connection.read_exact(&mut request)?;
    Ok(request)
}

/// The acknowledgement of a request: send the core, and wait.
fn answer(request: &[u8]) -> io::Result<Vec<u8>> {
    let (_, rest) = request.split_first_chunk::<4>().ok_or_else(|| strange("is too short"))?;
    let (size, rest) = rest.split_first_chunk::<4>().ok_or_else(|| strange("is too short"))?;
    let (mask, _) = rest.split_first_chunk::<8>().ok_or_else(|| strange("is too short"))?;
    let wanted = KERNEL | WAIT;
    if u32::from_ne_bytes(*size) < SMALLEST || u64::from_ne_bytes(*mask) & wanted != wanted {
        return Err(strange("offers no core that the kernel writes and waits for"));
    }
    let spare = 0_u32;
    Ok([&SMALLEST.to_ne_bytes()[..], &spare.to_ne_bytes(), &wanted.to_ne_bytes()].concat())
}

/// `COREDUMP_MARK_REQACK` is 0, all others are refusals.
fn check_mark(mut connection: &UnixStream) -> io::Result<()> {
    let mut mark = [0; 4];
    connection.read_exact(&mut mark)?;
    match u32::from_ne_bytes(mark) {
        0 => Ok(()),
        other => Err(strange(&format!("was followed by a refusal, mark {other}"))),
    }
}

fn strange(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("what came from the kernel {what}"))
}
