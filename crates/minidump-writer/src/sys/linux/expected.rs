//! How much memory a dump is going to copy, guessed before the stop: room that is ready then takes no time in the window.

use super::target::Target;
use super::tracees::blocked_at;
use crate::DumpOptions;
use crate::snapshot::{MemoryMode, MemoryPlan, Snapshot, Thread};
use libc::pid_t;

/// So many threads are looked at. The others are taken to be like them.
const SAMPLE: usize = 16;
/// What a thread is taken to have when none of the sample is blocked, in bytes of stack and code.
const USUAL: u64 = 16 << 10;

/// Bytes that the arena will take for the threads `tids`. `snapshot` has regions and facts of the loader, and no threads;
/// so it comes back.
pub fn size(target: &Target, tids: &[pid_t], snapshot: &mut Snapshot, options: &DumpOptions) -> usize {
    if options.memory.mode == MemoryMode::Full {
        return 0;
    }
    let step = tids.len().div_ceil(SAMPLE).max(1);
    let sample = tids.iter().step_by(step).filter_map(|tid| {
        let fallback_sp_ip = Some(blocked_at(target.pid, *tid)?);
        Some(Thread { fallback_sp_ip, ..Thread::new(tid.unsigned_abs()) })
    });
    snapshot.threads = sample.collect();
    let plan = MemoryPlan::new(snapshot, &options.memory, &mut Vec::new());
    let looked_at = std::mem::take(&mut snapshot.threads).len() as u64;
    let stacks = plan.stacks().iter().map(|stack| stack.size).fold(0, u64::saturating_add);
    let of_all = match stacks.saturating_mul(tids.len() as u64).checked_div(looked_at) {
        Some(like_them) => like_them.saturating_add(plan.total().saturating_sub(stacks)),
        None => (tids.len() as u64).saturating_mul(USUAL).saturating_add(plan.total()),
    };
    // Threads differ; an eighth more costs little.
    usize::try_from(of_all.saturating_add(of_all / 8)).unwrap_or(usize::MAX)
}
