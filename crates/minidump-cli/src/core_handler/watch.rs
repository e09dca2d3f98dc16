//! The deadline: whatever hangs, the crashed process is let go.

use super::kernel_log;
use crate::exit::FAILED;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Ends this program when it takes too long, unless it is done before. A dump that is not whole has no name then.
#[derive(Debug)]
pub struct Watch(SyncSender<()>);

impl Watch {
    /// Starts the clock. `title` names the crash.
    pub fn start(deadline: Duration, title: String) -> Self {
        let (sender, done) = sync_channel::<()>(1);
        let watch = move || {
            if done.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout) {
                let seconds = deadline.as_secs_f32();
                kernel_log::tell(&format!("{title}: given up after {seconds} seconds"));
                std::process::exit(FAILED.into());
            }
        };
        // Without a thread there is no deadline, which is no reason to lose the dump.
        if std::thread::Builder::new().name("deadline".into()).spawn(watch).is_err() {
            kernel_log::tell("there is no thread to keep the deadline");
        }
        Self(sender)
    }

    /// The work is done.
    pub fn done(self) {
        let _ = self.0.send(());
    }
}
