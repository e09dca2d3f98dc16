//! Which memory belongs into the dump, and its copy.

use crate::copied::Copied;
use crate::dyld::Images;
use crate::frameless::innermost_frame;
use crate::frames::{InnermostFrame, MOST_BLAMED, MOST_OTHERS, return_addresses};
use crate::memory::TaskMemory;
use crate::{CaptureOptions, ImageHeaders, PlanKind, RegionTag};
use minidump_snapshot::{
    MemoryMode, MemoryPlan, MemoryPolicy, PlannedRange, Protection, Purpose, Region, RegionKind, Snapshot,
    SoftError, Stage,
};

/// Kept on each side of a return address: the call before it and the instruction at it.
const BESIDE: u64 = 4;

/// Kept around the instruction pointer of a thread with a frame record, in a core.
const CODE_WINDOW: u64 = 64;

/// What of the plan could be copied, and what lies in no copy but belongs to it.
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
    let window = if is_core && !is_full { 0 } else { options.memory.code_window };
    let policy = MemoryPolicy { code_window: window, ..options.memory.clone() };
    let plan = MemoryPlan::new(snapshot, &policy, errors);
    let mut copied = Copied::default();
    let stacks = only(&plan, Purpose::is_stack);
    copied.copy(&stacks, memory, errors);
    let code = Code::of(snapshot, images, &copied, memory);
    code.mark_images(snapshot, images);
    let mut plan = plan;
    if is_full {
        let kept = |range: &PlannedRange| options.shared_cache || !is_shared_cache(range, &snapshot.regions);
        let ranges = plan.ranges().iter().copied().filter(kept).collect();
        plan = MemoryPlan::from_ranges(ranges, plan.stacks().to_vec());
    }
    if is_core {
        let more = code.ranges(snapshot, window_of(&options.memory)).into_iter();
        let more = more.chain(headers(snapshot, options.image_headers));
        let more = within_budget(more.collect(), &plan, &policy, errors);
        plan = plan.joined_with(&MemoryPlan::from_ranges(more, Vec::new()));
        if !is_full {
            plan = without(&plan, &code.frameless);
        }
    }
    if is_full {
        return Planned { plan, copied };
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

fn window_of(policy: &MemoryPolicy) -> u64 {
    policy.code_window.min(CODE_WINDOW)
}

/// The ranges of `plan` for purposes that `wanted` names.
fn only(plan: &MemoryPlan, wanted: impl Fn(Purpose) -> bool) -> MemoryPlan {
    let ranges = plan.ranges().iter().copied().filter(|range| wanted(range.purpose)).collect();
    MemoryPlan::from_ranges(ranges, Vec::new())
}

/// What of `plan` does not lie in `had`.
fn missing(plan: &MemoryPlan, had: &MemoryPlan) -> MemoryPlan {
    let mut holes: Vec<(u64, u64)> = had.ranges().iter().map(|range| (range.start, range.end())).collect();
    holes.sort_unstable();
    let ranges = plan.ranges().iter().flat_map(|range| cut(*range, &holes)).collect();
    MemoryPlan::from_ranges(ranges, Vec::new())
}

/// `plan` without the sorted `holes`, which no stack gives way to.
fn without(plan: &MemoryPlan, holes: &[(u64, u64)]) -> MemoryPlan {
    let ranges = plan.ranges().iter();
    let ranges =
        ranges.flat_map(|range| if range.purpose.is_stack() { vec![*range] } else { cut(*range, holes) });
    MemoryPlan::from_ranges(ranges.collect(), plan.stacks().to_vec())
}

/// What the sorted `holes` leave of `range`.
fn cut(range: PlannedRange, holes: &[(u64, u64)]) -> Vec<PlannedRange> {
    let mut left = Vec::new();
    let mut start = range.start;
    let first = holes.partition_point(|(_, end)| *end <= start);
    for (low, high) in holes.get(first..).unwrap_or_default().iter().take_while(|(low, _)| *low < range.end())
    {
        if *low > start {
            left.push(PlannedRange { start, size: low - start, ..range });
        }
        start = start.max(*high);
    }
    if start < range.end() {
        left.push(PlannedRange { start, size: range.end() - start, ..range });
    }
    left
}

/// Whether the range is code or constants of the shared cache.
fn is_shared_cache(range: &PlannedRange, regions: &[Region]) -> bool {
    let first = regions.partition_point(|region| region.end <= range.start);
    let name = RegionTag::SHARED_PMAP.name().unwrap_or_default().as_bytes();
    range.purpose == Purpose::Full
        && regions.get(first).is_some_and(|region| region.kind == RegionKind::File && region.name == name)
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
    let mut left = match policy.mode {
        MemoryMode::Full => u64::MAX,
        _ => policy.budget.saturating_sub(plan.total()),
    };
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

/// Whether the memory at `address` may be read for the dump.
fn is_open(snapshot: &Snapshot, address: u64) -> bool {
    let region = snapshot.region_at(address);
    region.is_some_and(|region| !region.protection.is_empty() && region.kind != RegionKind::Device)
}

/// Where the threads run.
#[derive(Debug, Default)]
struct Code {
    /// Return addresses, sorted, each once.
    returns: Vec<u64>,
    /// Instruction pointers of threads whose innermost function has a frame record, and whether it is the blamed one.
    pointers: Vec<(u64, bool)>,
    /// The ranges at the other instruction pointers, sorted.
    frameless: Vec<(u64, u64)>,
}

impl Code {
    fn of(snapshot: &Snapshot, images: &Images, stacks: &Copied, memory: &TaskMemory<'_>) -> Self {
        let mut code = Self::default();
        let facts = snapshot.apple.clone().unwrap_or_default();
        for thread in &snapshot.threads {
            let Some(cpu) = &thread.cpu else { continue };
            let blamed = snapshot.blamed_thread == Some(thread.id);
            let pc = facts.strip(cpu.instruction_pointer());
            // Where nothing is mapped, a call went astray: its return address is where a function without a record has it.
            let innermost = if is_open(snapshot, pc) {
                innermost_frame(cpu, images, memory)
            } else {
                InnermostFrame::Frameless
            };
            match innermost {
                InnermostFrame::Recorded => code.pointers.push((pc, blamed)),
                InnermostFrame::Frameless => code.frameless.push((pc, pc.saturating_add(1))),
            }
            let most = if blamed { MOST_BLAMED } else { MOST_OTHERS };
            code.returns.extend(return_addresses(cpu, innermost, stacks, &facts, most));
        }
        code.returns.sort_unstable();
        code.returns.dedup();
        code.pointers.sort_unstable();
        code.pointers.dedup();
        code.frameless.sort_unstable();
        code.frameless.dedup();
        code
    }

    /// Notes which images have a frame on a stack.
    fn mark_images(&self, snapshot: &mut Snapshot, images: &Images) {
        let pointers =
            self.pointers.iter().map(|(pc, _)| *pc).chain(self.frameless.iter().map(|(pc, _)| *pc));
        let bases = self.returns.iter().copied().chain(pointers);
        let bases = bases.filter_map(|address| images.running_at(address)).map(|image| image.base);
        let running: std::collections::BTreeSet<u64> = bases.collect();
        for image in snapshot.apple.iter_mut().flat_map(|facts| &mut facts.images) {
            image.executing = running.contains(&image.base);
        }
    }

    /// The code to keep: around instruction pointers, then at return addresses.
    fn ranges(&self, snapshot: &Snapshot, window: u64) -> Vec<PlannedRange> {
        let around = |address: u64, beside: u64| {
            let region = snapshot.region_at(address)?;
            let code = region.protection.contains(Protection::EXECUTE) && region.kind != RegionKind::Device;
            let start = address.saturating_sub(beside).max(region.start);
            let end = address.saturating_add(beside).min(region.end);
            (code && start < end).then(|| PlannedRange { start, size: end - start, purpose: Purpose::Code })
        };
        let pointers = self.pointers.iter();
        let pointers =
            pointers.filter_map(|(pc, blamed)| around(*pc, if *blamed { window / 2 } else { 2 * BESIDE }));
        pointers.chain(self.returns.iter().filter_map(|address| around(*address, BESIDE))).collect()
    }
}
