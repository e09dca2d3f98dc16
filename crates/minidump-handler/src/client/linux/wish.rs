//! A dump of a program that goes on.

use super::exchange::{self, Answer};
use super::state::{ANNOTATIONS, State};
use super::{crash, message, sys};
use crate::client::DumpError;
use crate::protocol::{MOST_BYTES, Reply, ReplyKind, RequestKind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// One at a time: each allows tracing, and takes that back.
static TURN: Mutex<()> = Mutex::new(());

/// Has the handler dump this process, with `thread` as the one to look at first. Returns where the dump is.
pub fn dump(state: &State, kind: RequestKind, thread: i32, reason: &str) -> Result<PathBuf, DumpError> {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let control = state.channel.control.get();
    let pair = sys::pair().filter(|_| control >= 0).ok_or(DumpError::NoHandler)?;
    let mut request = vec![0; MOST_BYTES];
    let message = message::of_wish(&mut request, kind, (thread, reason), state.about, &ANNOTATIONS);
    let message = message.ok_or(DumpError::NoHandler)?;
    let was_dumpable = sys::allow_tracing(state.channel.handler.load(Ordering::Acquire), state.ask_yama);
    let mut answer = vec![0; 32 << 10];
    let answer = exchange::ask(control, pair, message, crash::patience(state), &mut answer);
    sys::disallow_tracing(was_dumpable, state.ask_yama);
    match answer {
        Answer::Told(kind, message) => {
            let text = Reply::decode(message).map(|reply| reply.text).unwrap_or_default();
            match kind {
                ReplyKind::Done => Ok(PathBuf::from(text)),
                ReplyKind::Declined => Err(DumpError::Declined(text)),
                _ => Err(DumpError::Failed(text)),
            }
        }
        Answer::Unsent(_) | Answer::Gone => Err(DumpError::NoHandler),
        Answer::Silent => Err(DumpError::Silent),
    }
}
