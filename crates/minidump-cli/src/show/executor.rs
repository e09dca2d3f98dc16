//! Runs a future to its end on the calling thread.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The unwinder's interface is asynchronous for the sake of symbol servers. Our symbols are local, so a future is
/// practically ready at the first poll; one that is not is polled again.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_needs_several_polls_is_finished() {
        let mut polls = 0;
        let future = std::future::poll_fn(|_| {
            polls += 1;
            if polls < 4 { Poll::Pending } else { Poll::Ready(polls) }
        });
        assert_eq!(block_on(future), 4);
    }
}
