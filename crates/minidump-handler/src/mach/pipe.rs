//! Whole messages over a pipe or a socket, with deadlines.
#![expect(unsafe_code, reason = "poll")]

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd as _};
use std::time::{Duration, Instant};

/// The longest message, in bytes.
const MOST: usize = crate::protocol::MOST_BYTES;
/// Bytes for which there is room in a pipe or a socket that says it can be written to (PIPE_BUF of macOS): writing more
/// may wait for as long as nobody reads.
const PIECE: usize = 512;

/// Writes a message behind its length, a u32.
pub fn put(to: &mut (impl Write + AsFd), message: &[u8], deadline: Instant) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    for piece in [&length.to_le_bytes(), message].concat().chunks(PIECE) {
        wait(to, libc::POLLOUT, deadline)?;
        to.write_all(piece)?;
    }
    to.flush()
}

/// Reads a message.
pub fn take(from: &mut (impl Read + AsFd), deadline: Instant) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    fill(from, &mut length, deadline)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    fill(from, &mut message, deadline)?;
    Ok(message)
}

/// Whether the other end has gone, or something is there to be read.
pub fn is_readable(pipe: &impl AsFd) -> bool {
    wait(pipe, libc::POLLIN, Instant::now()).is_ok()
}

/// Waits for the other end to go, whatever it still says. `false` when it is there at `deadline`.
pub fn ends(from: &mut (impl Read + AsFd), deadline: Instant) -> bool {
    loop {
        match fill(from, &mut [0], deadline) {
            Ok(()) => {}
            Err(error) => return error.kind() != io::ErrorKind::TimedOut,
        }
    }
}

fn fill(from: &mut (impl Read + AsFd), mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        wait(from, libc::POLLIN, deadline)?;
        match from.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait(pipe: &impl AsFd, events: i16, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fd = libc::pollfd { fd: pipe.as_fd().as_raw_fd(), events, revents: 0 };
        // SAFETY: `fd` is one entry.
        let count = unsafe { libc::poll(&raw mut fd, 1, milliseconds(left)) };
        match count {
            1 => return Ok(()),
            0 => return Err(io::ErrorKind::TimedOut.into()),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// Rounded up, so that a wait is not over before its time.
fn milliseconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis().saturating_add(1)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[test]
    fn messages_arrive_whole_and_in_order() {
        let (mut here, mut there) = pair();
        for message in [&b"first"[..], b"", &[7; 5000]] {
            put(&mut here, message, soon()).unwrap();
        }
        assert_eq!(take(&mut there, soon()).unwrap(), b"first");
        assert_eq!(take(&mut there, soon()).unwrap(), b"");
        assert_eq!(take(&mut there, soon()).unwrap(), [7; 5000]);
    }

    #[test]
    fn a_length_beyond_all_messages_is_refused_before_memory_is_taken() {
        let (mut here, mut there) = pair();
        here.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert_eq!(take(&mut there, soon()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn an_end_in_the_middle_and_silence_are_errors() {
        let (mut here, mut there) = pair();
        here.write_all(&[9, 0, 0, 0, 1, 2]).unwrap();
        let silence = take(&mut there, Instant::now()).unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
        let (mut here_too, mut there) = pair();
        here_too.write_all(&[9, 0, 0, 0, 1, 2]).unwrap();
        drop(here_too);
        assert_eq!(take(&mut there, soon()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_peer_that_does_not_read_is_waited_for_no_longer_than_told() {
        let (mut here, _there) = pair();
        let much = vec![7; 4 << 20];
        let written = put(&mut here, &much, Instant::now()).unwrap_err();
        assert_eq!(written.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_end_is_waited_for_behind_what_nobody_reads() {
        let (mut here, mut there) = pair();
        here.write_all(b"late").unwrap();
        assert!(!ends(&mut there, Instant::now()), "it is still there");
        here.write_all(b"later").unwrap();
        drop(here);
        assert!(ends(&mut there, soon()));
    }

    #[test]
    fn an_end_is_noticed() {
        let (here, there) = pair();
        assert!(!is_readable(&there));
        drop(here);
        assert!(is_readable(&there));
    }
}
