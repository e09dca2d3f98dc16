use super::stacks::Found;
use super::{Part, Purpose};
use crate::memory::MemoryPolicy;
use crate::region::{Region, RegionKind, find};
use crate::{Protection, Snapshot};

/// Most that a thread's entry shows of its stack where all memory is in the file anyway. Breakpad's reader refuses
/// ranges above 64 MiB.
const STACK_CAP: u64 = 64 << 20;

/// The kernel's half of the address space on x86-64, where the vsyscall page lies.
const KERNEL_HALF: u64 = 1 << 63;

/// The stacks of a dump of all memory. Only those in memory that is not to be dumped have a price, and the caps of
/// `policy`.
pub(super) fn stacks(snapshot: &Snapshot, policy: &MemoryPolicy) -> Found {
    Found::capped(snapshot, |thread, blamed| {
        let cap = if blamed { policy.blamed_stack_cap } else { policy.stack_cap };
        let region = thread.stack_pointer().and_then(|sp| find(&snapshot.regions, sp));
        if region.is_some_and(is_taken) { cap.max(STACK_CAP) } else { cap }
    })
}

/// All regions that can be read and mean something.
pub(super) fn parts(regions: &[Region]) -> impl Iterator<Item = Part> {
    let taken = regions.iter().filter(|region| is_taken(region));
    taken.filter_map(|region| Part::new((region.start, region.end), Purpose::Full))
}

fn is_taken(region: &Region) -> bool {
    let readable = region.protection.contains(Protection::READ) && !region.dont_dump;
    readable
        && match region.kind {
            RegionKind::Device => false,
            // The vdso is code. The kernel's data pages (vvar) and the vsyscall page cannot be read from outside.
            RegionKind::Kernel => {
                region.protection.contains(Protection::EXECUTE) && region.start < KERNEL_HALF
            }
            _ => true,
        }
}
