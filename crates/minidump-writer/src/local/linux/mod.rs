//! A local dump from start to end: a child made by fork traces its parent and sends the dump through a socket.

mod child;
mod descriptors;
mod helper;
mod prctl;
mod protocol;
mod relay;
mod signals;
mod spool;
mod turn;
mod watchdog;

use super::UserStream;
use crate::snapshot::MemoryMode;
use crate::{DumpOptions, DumpReport, Error, Pid};
use child::Job;
use helper::{End, Helper};
use protocol::Ending;
use relay::{Broken, relay};
use std::io;
use std::time::{Duration, Instant};
use turn::Turn;

/// What the capture may take besides the times that the options give: reading /proc of a large process on a busy
/// machine. Far more than it ever takes, as this only ends what hangs.
const SPARE: Duration = Duration::from_secs(30);

/// Takes the dump.
pub fn dump(
    options: &DumpOptions,
    streams: &[UserStream<'_>],
    output: &mut dyn io::Write,
) -> Result<DumpReport, Error> {
    let start = Instant::now();
    let pid = Pid::try_from(std::process::id()).unwrap_or(0);
    let options = adapt(options);
    let limit = limit(&options);
    let turn = Turn::take(limit).ok_or_else(|| Error::LocalDump {
        reason: format!("another thread has been taking one for {} s", limit.as_secs()),
    })?;
    let spool = is_held(&options).then(spool::places);
    let job = Job { pid, options: &options, streams, limit, spool };
    let mut helper =
        Helper::start(|socket| child::run(&job, socket)).map_err(|source| Error::LocalHelper { source })?;
    // The helper ends itself first where it can; this is for when it cannot.
    let relayed = relay(&helper, limit.saturating_add(SPARE), output);
    let end = if relayed.is_ok() { helper.finish() } else { helper.kill() };
    drop(turn);
    match relayed {
        Ok(Ending::Done(report)) => Ok(DumpReport { wall: start.elapsed(), ..report }),
        Ok(Ending::Denied(reason)) => Err(Error::PermissionDenied { pid, reason: own_reason(reason) }),
        Ok(Ending::Traced { tracer, name }) => Err(Error::AlreadyTraced { pid, tracer, name }),
        Ok(Ending::Failed(reason)) => Err(Error::LocalDump { reason }),
        Err(Broken::Output(source)) => Err(Error::Output { source }),
        Err(broken) => Err(Error::LocalDump { reason: explain(&broken, end) }),
    }
}

/// What is different when the process is one's own.
fn adapt(options: &DumpOptions) -> DumpOptions {
    let mut options = options.clone();
    options.blamed_thread = options.blamed_thread.or_else(prctl::thread_id);
    options
}

/// Whether this process stands still while the dump is being written.
fn is_held(options: &DumpOptions) -> bool {
    options.memory.mode == MemoryMode::Full && !options.copy_on_write
}

/// Longest that the helper may take before it sends the first bytes.
fn limit(options: &DumpOptions) -> Duration {
    let held = if is_held(options) { options.hold_limit } else { Duration::ZERO };
    options.deadline.saturating_add(held).saturating_add(SPARE)
}

/// Why this process, which is the helper's own parent, may not be traced by it.
fn own_reason(reason: String) -> String {
    if !prctl::is_dumpable() {
        "it is not dumpable: it is setuid or has file capabilities, changed its user or group, or asked for this with \
         prctl(PR_SET_DUMPABLE); call prctl(PR_SET_DUMPABLE, 1) before the dump if others of the same user may see its \
         memory, or dump it from outside as root"
            .into()
    } else if prctl::is_filtered() {
        format!(
            "a seccomp filter is in force, which probably forbids ptrace(2); let the filter pass it, or dump from a \
             process without the filter. Without one, the reason would be: {reason}"
        )
    } else {
        reason
    }
}

fn explain(broken: &Broken, end: End) -> String {
    let what = match broken {
        Broken::Silent(time) => format!("the helper process said nothing for {} s", time.as_secs()),
        Broken::Socket(error) => format!("the helper process was not understood: {error}"),
        Broken::Ended | Broken::Output(_) => "the helper process ended before the dump was complete".into(),
    };
    let why = match (broken, end) {
        (Broken::Ended, End::Killed(libc::SIGSYS)) => {
            "; a seccomp filter killed it: let the filter pass what the dump needs, ptrace(2) above all"
        }
        (Broken::Ended, End::Killed(libc::SIGKILL)) => {
            "; it was killed: it hung, or the system ran out of memory, or somebody killed it"
        }
        (Broken::Ended, End::Killed(signal)) => return format!("{what}; signal {signal} killed it"),
        (_, End::Lingering) => "; it could not be ended either, as it waits inside the kernel",
        _ => "",
    };
    format!("{what}{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dump_of_all_memory_that_is_no_copy_may_take_the_hold_limit() {
        let mut options = DumpOptions::default();
        let short = limit(&options);
        assert_eq!(short, options.deadline + SPARE);
        options.memory.mode = MemoryMode::Full;
        assert_eq!(limit(&options), short + options.hold_limit);
        options.copy_on_write = true;
        assert_eq!(limit(&options), short);
    }

    #[test]
    fn the_calling_thread_is_blamed_unless_another_one_is_asked_for() {
        let mut options = DumpOptions::default();
        assert_eq!(adapt(&options).blamed_thread, prctl::thread_id());
        options.blamed_thread = Some(7);
        assert_eq!(adapt(&options).blamed_thread, Some(7));
    }

    #[test]
    fn a_helper_killed_by_a_filter_is_told_from_one_that_hung() {
        assert!(explain(&Broken::Ended, End::Killed(libc::SIGSYS)).contains("seccomp"));
        assert!(explain(&Broken::Ended, End::Killed(libc::SIGKILL)).contains("it hung"));
        assert!(explain(&Broken::Ended, End::Killed(libc::SIGSEGV)).contains("signal 11"));
        assert!(explain(&Broken::Silent(SPARE), End::Killed(libc::SIGKILL)).contains("nothing for 30 s"));
    }
}
