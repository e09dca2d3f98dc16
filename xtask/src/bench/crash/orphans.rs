//! Handlers outlive their programs for a moment. The next round begins when they have gone.

use crate::{bench::os, shell::Outcome};
use std::{
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for the end of all that crashers have left.
pub fn wait() -> Outcome {
    let begun = Instant::now();
    while !os::is_childless() {
        if begun.elapsed() > PATIENCE {
            return Err("a handler does not end although its program has".into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
