//! The calling thread's part: takes the dump from the helper and gives it to the application's output.

use super::helper::Helper;
use super::prctl;
use super::protocol::{self, Ending, GRANTED, Kind};
use std::io::{self, BufReader, Read, Write};
use std::time::{Duration, Instant};

/// Why there was no last frame.
#[derive(Debug)]
pub enum Broken {
    /// The application's output refused the dump.
    Output(io::Error),
    /// The helper ended without a last word.
    Ended,
    /// The helper said nothing for this long.
    Silent(Duration),
    /// Anything else that can befall a socket.
    Socket(io::Error),
}

/// Copies the dump to `output` until the helper has said its last word. `patience` is the longest silence.
pub fn relay(helper: &Helper, patience: Duration, output: &mut dyn Write) -> Result<Ending, Broken> {
    let mut permission = Permission::default();
    let mut incoming = BufReader::with_capacity(2 * protocol::MOST_DATA, Incoming { helper, patience });
    let mut payload = Vec::with_capacity(protocol::MOST_DATA);
    loop {
        let kind = protocol::receive(&mut incoming, &mut payload).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Broken::Ended,
            io::ErrorKind::TimedOut => Broken::Silent(patience),
            _ => Broken::Socket(error),
        })?;
        match kind {
            Kind::Permission => {
                permission.grant(helper);
                // When it has died meanwhile, the next frame says so.
                let _ = helper.socket().write_all(&[GRANTED]);
            }
            Kind::Data => output.write_all(&payload).map_err(Broken::Output)?,
            Kind::Ending => {
                output.flush().map_err(Broken::Output)?;
                return serde_json::from_slice(&payload).map_err(|error| Broken::Socket(error.into()));
            }
        }
    }
}

/// Yama's permission, taken back when this is dropped.
#[derive(Default)]
struct Permission {
    granted: bool,
}

impl Permission {
    fn grant(&mut self, helper: &Helper) {
        self.granted |= prctl::allow_tracer(helper.pid());
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        if self.granted {
            prctl::allow_tracer(0);
        }
    }
}

/// The socket, read with patience.
struct Incoming<'a> {
    helper: &'a Helper,
    patience: Duration,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Twice half the time: while this process is stopped as a whole, as by job control, the helper is as well, and
        // no time that passes meanwhile is its fault.
        let half = self.patience / 2;
        let mut readable = false;
        for _ in 0..2 {
            readable = readable || self.helper.wait_readable(Instant::now() + half)?;
        }
        if !readable {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.helper.receive_now(buffer)
    }
}

#[cfg(test)]
mod tests;
