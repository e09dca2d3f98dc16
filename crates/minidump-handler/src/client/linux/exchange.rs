//! A request to the handler and its answer, in a way that a signal handler may go.

use super::sys;
use crate::protocol::ReplyKind;
use libc::c_int;

/// How long to wait for a handler, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until it says that it has read the request.
    pub accept: u64,
    /// Between two signs of life after that.
    pub silence: u64,
    /// For all of it.
    pub all: u64,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'b> {
    /// The last message of the handler: `Done`, `Declined` or `Failed`.
    Told(ReplyKind, &'b [u8]),
    /// The request could not be sent; the error number.
    Unsent(c_int),
    /// The handler has gone.
    Gone,
    /// It said nothing for too long.
    Silent,
}

/// Sends `request` on the connection `control`, and waits for the answer on `reply`, a pair of connected sockets that is
/// used up: both are closed in the end.
pub fn ask<'b>(
    control: c_int,
    [mine, theirs]: [c_int; 2],
    request: &[u8],
    patience: Patience,
    buffer: &'b mut [u8],
) -> Answer<'b> {
    let begun = sys::now_ms();
    let sent = send(control, request, theirs, begun.saturating_add(patience.accept));
    // So that the handler's is the only one, and its end is seen.
    sys::close(theirs);
    let answer = match sent {
        Ok(()) => wait(mine, begun, patience, buffer),
        Err(error) => Answer::Unsent(error),
    };
    sys::close(mine);
    answer
}

fn send(control: c_int, request: &[u8], theirs: c_int, until: u64) -> Result<(), c_int> {
    loop {
        match sys::send(control, request, theirs) {
            Err(libc::EAGAIN | libc::ENOBUFS | libc::ETOOMANYREFS) if sys::now_ms() < until => {
                // There is no event for the other two errors.
                sys::wait_for(control, libc::POLLOUT, remaining(until).min(20));
            }
            Err(libc::EINTR) => {}
            done => return done,
        }
    }
}

fn wait(mine: c_int, begun: u64, patience: Patience, buffer: &mut [u8]) -> Answer<'_> {
    let last = begun.saturating_add(patience.all);
    let mut until = begun.saturating_add(patience.accept);
    // What has come is read even if time is over: this process may have stood still all the while.
    while sys::wait_for(mine, libc::POLLIN, remaining(until.min(last))) || sys::now_ms() < until.min(last) {
        let Some(message) = sys::receive(mine, buffer) else { continue };
        if message.is_empty() {
            return Answer::Gone;
        }
        let length = message.len();
        match ReplyKind::of(message) {
            Some(kind @ (ReplyKind::Done | ReplyKind::Declined | ReplyKind::Failed)) => {
                return Answer::Told(kind, buffer.get(..length).unwrap_or(&[]));
            }
            Some(ReplyKind::Accepted | ReplyKind::Waiting) => {
                until = sys::now_ms().saturating_add(patience.silence);
            }
            Some(ReplyKind::Hello) | None => {}
        }
    }
    Answer::Silent
}

fn remaining(until: u64) -> i32 {
    i32::try_from(until.saturating_sub(sys::now_ms())).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Reply;

    const PATIENCE: Patience = Patience { accept: 10_000, silence: 10_000, all: 20_000 };

    fn reply(kind: ReplyKind, text: &str) -> Vec<u8> {
        Reply { kind, text: text.into() }.encode()
    }

    /// Reads a request with the descriptor that came with it, as a handler does.
    fn take(fd: c_int) -> (Vec<u8>, c_int) {
        assert!(sys::wait_for(fd, libc::POLLIN, 10_000));
        let received = crate::server::receive_for_tests(fd);
        (received.0, received.1.expect("a descriptor comes with it"))
    }

    #[test]
    fn the_last_word_counts() {
        let [control, handler] = sys::pair().unwrap();
        let thread = std::thread::spawn(move || {
            let (request, back) = take(handler);
            assert_eq!(request, b"request");
            for message in [
                reply(ReplyKind::Accepted, ""),
                b"nonsense".to_vec(),
                reply(ReplyKind::Waiting, ""),
                reply(ReplyKind::Done, "/x.dmp"),
            ] {
                sys::send(back, &message, back).unwrap();
            }
            sys::close(back);
        });
        let mut buffer = [0; 256];
        let answer = ask(control, sys::pair().unwrap(), b"request", PATIENCE, &mut buffer);
        let Answer::Told(ReplyKind::Done, message) = answer else { panic!("{answer:?}") };
        assert_eq!(Reply::decode(message).unwrap().text, "/x.dmp");
        thread.join().unwrap();
        [control, handler].into_iter().for_each(sys::close);
    }

    #[test]
    fn a_handler_that_goes_is_noticed_at_once() {
        let [control, handler] = sys::pair().unwrap();
        let thread = std::thread::spawn(move || {
            let (_, back) = take(handler);
            sys::close(back);
        });
        assert_eq!(ask(control, sys::pair().unwrap(), b"x", PATIENCE, &mut [0; 64]), Answer::Gone);
        thread.join().unwrap();
        sys::close(handler);
        let mut buffer = [0; 64];
        let answer = ask(control, sys::pair().unwrap(), b"x", PATIENCE, &mut buffer);
        assert_eq!(answer, Answer::Unsent(libc::EPIPE));
        sys::close(control);
    }

    #[test]
    fn a_handler_that_is_silent_is_given_up() {
        let [control, handler] = sys::pair().unwrap();
        let patience = Patience { accept: 20, silence: 20, all: 40 };
        assert_eq!(ask(control, sys::pair().unwrap(), b"x", patience, &mut [0; 64]), Answer::Silent);
        [control, handler].into_iter().for_each(sys::close);
    }
}
