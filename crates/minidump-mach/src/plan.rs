//! Which memory belongs into the dump, and its copy.

mod code;
mod ranges;

use crate::copied::Copied;
use crate::dyld::Images;
use crate::memory::TaskMemory;
use crate::{CaptureOptions, ImageHeaders, PlanKind, RegionTag};
use code::{Code, is_open};
use minidump_snapshot::{
    MemoryMode, MemoryPlan, MemoryPolicy, PlannedRange, Protection, Purpose, Region, Snapshot, SoftError,
    Stage,
};
use ranges::{missing, only, without};

/// A plan, and what of it was copied.
pub struct Planned {
    pub plan: MemoryPlan,
    pub copied: Copied,
}

/// Plans the memory, copies it, and tells in `snapshot` which images have a frame on a stack. With all memory, nothing is
/// copied but the stacks.
pub fn plan_and_copy(
    snapshot: &mut Snapshot,
    images: &Images,
    memory: &TaskMemory<'_>,
    options: &CaptureOptions,
    errors: &mut Vec<SoftError>,
) -> Planned {
    let is_core = options.plan == PlanKind::Core;
    let is_full = options.memory.mode == MemoryMode::Full;
    let policy = small(&options.memory, is_core);
    let mut plan = MemoryPlan::new(snapshot, &policy, errors);
    let stacks = only(&plan, Purpose::is_stack);
    let mut copied = Copied::default();
    copied.copy(&stacks, memory, errors);
    let code = Code::of(snapshot, images, &copied, memory);
    code.mark_images(snapshot, images);
    if is_core {
        let more = code.ranges(snapshot, options.memory.code_window).into_iter();
        let more = more.chain(headers(snapshot, options.image_headers));
        let more = within_budget(more.collect(), &plan, &policy, errors);
        plan = plan.joined_with(&MemoryPlan::from_ranges(more, Vec::new()));
    }
    if is_full {
        let others = only(&plan, |purpose| !purpose.is_stack());
        let plan = full(snapshot, &options.memory, options.shared_cache).joined_with(&others);
        return Planned { plan, copied };
    }
    if is_core {
        plan = without(&plan, &code.frameless);
    }
    copied.copy(&missing(&plan, &stacks), memory, errors);
    if policy.mode == MemoryMode::Indirect {
        let more = plan.pointed_to(snapshot, &policy, &copied, errors);
        let more = if is_core { without(&more, &code.frameless) } else { more };
        copied.copy(&missing(&more, &plan), memory, errors);
        plan = plan.joined_with(&more);
    }
    Planned { plan, copied }
}

/// The policy for all that is no more than a small dump has. In a core, code is planned by what LLDB needs of it.
fn small(policy: &MemoryPolicy, is_core: bool) -> MemoryPolicy {
    let (mode, budget) = match policy.mode {
        MemoryMode::Full => (MemoryMode::Stacks, u64::MAX),
        mode => (mode, policy.budget),
    };
    let code_window = if is_core { 0 } else { policy.code_window };
    MemoryPolicy { mode, budget, code_window, ..policy.clone() }
}

/// All memory, but code and constants of the shared cache only where that is wanted.
fn full(snapshot: &mut Snapshot, policy: &MemoryPolicy, shared_cache: bool) -> MemoryPlan {
    let regions = snapshot.regions.clone();
    snapshot.regions.retain(|region| shared_cache || !is_constant(region));
    // What there is to tell was told of the small plan.
    let plan = MemoryPlan::new(snapshot, policy, &mut Vec::new());
    snapshot.regions = regions;
    plan
}

/// Whether the region is code or constants of the shared cache.
fn is_constant(region: &Region) -> bool {
    let name = RegionTag::SHARED_PMAP.name().unwrap_or_default();
    region.name == name.as_bytes() && !region.protection.contains(Protection::WRITE)
}

/// Header and load commands of the images that are asked for.
fn headers(snapshot: &Snapshot, wanted: ImageHeaders) -> Vec<PlannedRange> {
    let images = snapshot.apple.iter().flat_map(|facts| &facts.images);
    let images = images.filter(|image| match wanted {
        ImageHeaders::None => false,
        ImageHeaders::Executing => image.executing,
        ImageHeaders::All => true,
    });
    let ranges = images.map(|image| PlannedRange {
        start: image.base,
        size: image.header_size,
        purpose: Purpose::Loader,
    });
    ranges.filter(|range| is_open(snapshot, range.start)).collect()
}

/// As much of `more`, in its order, as the budget has room for.
fn within_budget(
    more: Vec<PlannedRange>,
    plan: &MemoryPlan,
    policy: &MemoryPolicy,
    errors: &mut Vec<SoftError>,
) -> Vec<PlannedRange> {
    let mut left = policy.budget.saturating_sub(plan.total());
    let before = more.len();
    let mut kept = more;
    kept.retain(|range| {
        let fits = range.size <= left;
        left = left.saturating_sub(if fits { range.size } else { 0 });
        fits
    });
    if kept.len() < before {
        let (count, budget) = (before - kept.len(), policy.budget);
        let message =
            format!("{count} pieces of code were left out to keep within the budget of {budget} bytes");
        errors.push(SoftError::new(Stage::Memory, message));
    }
    kept
}
