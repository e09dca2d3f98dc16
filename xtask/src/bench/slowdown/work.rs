//! What is measured: `cargo xtask bench-work WORK COUNT`. Prints the nanoseconds that it took.

use super::{NOTHING, faults, nanos};
use crate::shell::{Doing, Outcome};
use std::{hint, os::unix::process::CommandExt as _, process::Command, thread, time::Instant};

/// Does it so often.
pub fn run(arguments: &[String]) -> Outcome {
    let [work, count] = arguments else { return Err("bench-work takes two arguments: WORK COUNT".into()) };
    let count: usize = count.parse().map_err(|_| format!("'{count}' is no number"))?;
    let begun = Instant::now();
    match work.as_str() {
        "threads" => threads(count)?,
        "processes" => processes(count)?,
        "faults" => faults::handle(count)?,
        "compute" => compute(count),
        other => return Err(format!("there is no work '{other}'").into()),
    }
    println!("{}", nanos(begun));
    Ok(())
}

/// One after the other, as what is wanted is the cost of one.
fn threads(count: usize) -> Outcome {
    for _ in 0..count {
        let thread = thread::Builder::new().spawn(|| {}).doing("could not start a thread")?;
        thread.join().map_err(|_| "a thread broke".to_owned())?;
    }
    Ok(())
}

fn processes(count: usize) -> Outcome {
    for _ in 0..count {
        let mut command = Command::new(NOTHING);
        // Anything to be done before exec makes the library fork instead of asking for a vfork.
        #[expect(
            unsafe_code,
            reason = "the closure of pre_exec does nothing, which is safe in a forked child"
        )]
        // SAFETY: as said.
        unsafe {
            command.pre_exec(|| Ok(()));
        }
        let status = command.status().doing("could not start a process")?;
        if !status.success() {
            return Err(format!("{NOTHING} ended with {status}").into());
        }
    }
    Ok(())
}

fn compute(count: usize) {
    let mut state = 1_u64;
    for _ in 0..count {
        state = hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
