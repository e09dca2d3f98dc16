//! How much memory a dump is going to copy, guessed before the stop: room that is ready then takes no time in the window.

use super::proc_fs::blocked_at;
use crate::DumpOptions;
use crate::snapshot::{MemoryMode, MemoryPlan, Snapshot, Thread};
use libc::pid_t;
use std::fs::File;

/// So many threads are looked at, and no more than one of so many. The others are taken to be like them.
const SAMPLE: usize = 16;
const ONE_OF: usize = 4;
/// So few are not looked at.
const FEW: usize = 4;
/// What each of them is taken to have, in bytes. Room that is wanting costs no more than room that is not used.
const USUAL_OF_FEW: u64 = 8 << 10;
/// What a thread is taken to have that is not blocked, in bytes of stack and code.
const USUAL: u64 = 24 << 10;
/// What one of the sample counts for at most: one long stack says little about the others.
const LIKE_OTHERS: u64 = 64 << 10;

/// Bytes that the arena will take for the threads `tids`. `tasks` is their folder in /proc. `snapshot` has regions and facts of the loader, and no threads;
/// so it comes back.
pub fn size(tasks: &File, tids: &[pid_t], snapshot: &mut Snapshot, options: &DumpOptions) -> usize {
    if options.memory.mode == MemoryMode::Full {
        return 0;
    }
    let (wanted, usual) = if tids.len() <= FEW { (&[][..], USUAL_OF_FEW) } else { (tids, USUAL) };
    let step = tids.len().div_ceil(SAMPLE).max(ONE_OF);
    let sample = wanted.iter().step_by(step).filter_map(|tid| {
        let fallback_sp_ip = Some(blocked_at(tasks, *tid)?);
        Some(Thread { fallback_sp_ip, ..Thread::new(tid.unsigned_abs()) })
    });
    snapshot.threads = sample.collect();
    let plan = MemoryPlan::new(snapshot, &options.memory, &mut Vec::new());
    let blocked = std::mem::take(&mut snapshot.threads).len() as u64;
    let looked_at = tids.len().div_ceil(step).max(1) as u64;
    let typical = plan.stacks().iter().map(|stack| stack.size.min(LIKE_OTHERS)).fold(0, u64::saturating_add);
    let of_sample = typical.saturating_add(looked_at.saturating_sub(blocked).saturating_mul(usual));
    let like_them = of_sample.saturating_mul(tids.len() as u64).checked_div(looked_at).unwrap_or(0);
    let of_all = like_them.saturating_add(plan.total().saturating_sub(typical));
    // Threads differ; a sixteenth more costs little.
    usize::try_from(of_all.saturating_add(of_all / 16)).unwrap_or(usize::MAX)
}
