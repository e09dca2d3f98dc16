//! Cutting a plan to its budget. What is given up first: memory around pointers, the application's ranges, the
//! loader's structures, the far ends of the other stacks, the far end of the blamed stack, the code of other threads,
//! and last all that is kept of the blamed thread but a window around its stack pointer. Every thread has such a
//! window, whatever the budget.

use super::stacks::Found;
use super::{Part, around, merged, total};
use crate::memory::MemoryPolicy;
use crate::{Snapshot, SoftError, Stage};

/// Least of a stack that is worth having: the red zone and the frame at the stack pointer.
const LEAST_STACK: u64 = 256;

/// Taken around the address that a crash was about.
const CRASH_WINDOW: u64 = 1024;

/// How much is taken of each kind, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub blamed_cap: u64,
    pub stack_cap: u64,
    pub code_window: u64,
    pub blamed_code_window: u64,
    pub crash_window: u64,
}

impl Sizes {
    /// The sizes with an ample budget.
    pub(super) fn of(policy: &MemoryPolicy) -> Self {
        Self {
            blamed_cap: policy.blamed_stack_cap.max(LEAST_STACK),
            stack_cap: policy.stack_cap.max(LEAST_STACK),
            code_window: policy.code_window,
            blamed_code_window: policy.code_window,
            crash_window: CRASH_WINDOW,
        }
    }
}

/// Cuts the stacks and what lies around single addresses until they fit the budget. Both are given as they are with
/// [`Sizes::of`] the policy.
pub(super) fn cut(
    snapshot: &Snapshot,
    policy: &MemoryPolicy,
    found: Found,
    around: Vec<Part>,
    soft_errors: &mut Vec<SoftError>,
) -> (Found, Vec<Part>) {
    if sum(&found.parts).saturating_add(sum(&around)) <= policy.budget {
        return (found, around);
    }
    let stacks = StackSizes::of(&found, snapshot.blamed_thread);
    let (sizes, fits) = cut_sizes(policy, &stacks, |sizes| sum(&around::parts(snapshot, sizes)));
    report(policy, sizes, fits, soft_errors);
    (Found::new(snapshot, &sizes), around::parts(snapshot, &sizes))
}

/// What the stacks take when they are not cut.
struct StackSizes {
    blamed: u64,
    others: Vec<u64>,
}

impl StackSizes {
    fn of(found: &Found, blamed_thread: Option<u32>) -> Self {
        let mut sizes = Self { blamed: 0, others: Vec::with_capacity(found.stacks.len()) };
        for parts in found.parts.chunk_by(|one, next| one.thread == next.thread) {
            let is_blamed =
                blamed_thread.is_some() && parts.first().and_then(|part| part.thread) == blamed_thread;
            if is_blamed {
                sizes.blamed = sum(parts);
            } else {
                sizes.others.push(sum(parts));
            }
        }
        sizes
    }

    fn cut_to(&self, sizes: &Sizes) -> u64 {
        let others = self.others.iter().map(|size| *size.min(&sizes.stack_cap));
        others.fold(self.blamed.min(sizes.blamed_cap), u64::saturating_add)
    }
}

/// Gives up one thing after the other until what is left fits; tells whether it does.
fn cut_sizes(policy: &MemoryPolicy, stacks: &StackSizes, around: impl Fn(&Sizes) -> u64) -> (Sizes, bool) {
    let ample = Sizes::of(policy);
    let floor = policy.stack_floor.max(LEAST_STACK);
    let mut sizes = ample;
    let mut around_size = around(&sizes);
    let fits = |sizes: &Sizes, around: u64| stacks.cut_to(sizes).saturating_add(around) <= policy.budget;
    let stack_cap = |sizes: Sizes, least: u64, most: u64, around: u64| {
        largest(least, most, |stack_cap| fits(&Sizes { stack_cap, ..sizes }, around))
    };
    let blamed_cap = |sizes: Sizes, least: u64, most: u64, around: u64| {
        largest(least, most, |blamed_cap| fits(&Sizes { blamed_cap, ..sizes }, around))
    };
    sizes.stack_cap = stack_cap(sizes, floor, sizes.stack_cap, around_size);
    sizes.stack_cap = stack_cap(sizes, LEAST_STACK, sizes.stack_cap, around_size);
    sizes.blamed_cap = blamed_cap(sizes, floor, sizes.blamed_cap, around_size);
    while !fits(&sizes, around_size) && sizes.code_window > 0 {
        sizes.code_window = half(sizes.code_window);
        around_size = around(&sizes);
    }
    sizes.blamed_cap = blamed_cap(sizes, LEAST_STACK, sizes.blamed_cap, around_size);
    while !fits(&sizes, around_size) && sizes.blamed_code_window.max(sizes.crash_window) > 0 {
        sizes.blamed_code_window = half(sizes.blamed_code_window);
        sizes.crash_window = half(sizes.crash_window);
        around_size = around(&sizes);
    }
    // The last thing given up may have made more room than was needed.
    sizes.blamed_cap = blamed_cap(sizes, sizes.blamed_cap, ample.blamed_cap, around_size);
    sizes.stack_cap = stack_cap(sizes, sizes.stack_cap, ample.stack_cap, around_size);
    (sizes, fits(&sizes, around_size))
}

/// Half of a window, or nothing where that is too little to be of use.
fn half(window: u64) -> u64 {
    const LEAST_WINDOW: u64 = 64;
    Some(window / 2).filter(|half| *half >= LEAST_WINDOW).unwrap_or(0)
}

/// `high` if that fits, else the largest multiple of 16 above `low` that does, else `low`.
fn largest(low: u64, high: u64, fits: impl Fn(u64) -> bool) -> u64 {
    if fits(high) {
        return high;
    }
    let least = low.min(high);
    let (mut low, mut high) = (least, high);
    // What is at most `low` is taken, what is above `high` does not fit.
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    (low & !15).max(least)
}

fn report(policy: &MemoryPolicy, sizes: Sizes, fits: bool, soft_errors: &mut Vec<SoftError>) {
    let before = Sizes::of(policy);
    let cuts = [
        ("each stack", sizes.stack_cap, before.stack_cap),
        ("the stack of the blamed thread", sizes.blamed_cap, before.blamed_cap),
        ("the code of each thread", sizes.code_window, before.code_window),
        ("the code of the blamed thread", sizes.blamed_code_window, before.blamed_code_window),
    ];
    let cuts = cuts.iter().filter(|(_, now, before)| now < before);
    let cuts: Vec<String> = cuts.map(|(what, now, _)| format!("{what} to {now} bytes")).collect();
    let mut message = format!("the memory exceeds its budget of {} bytes", policy.budget);
    if !cuts.is_empty() {
        message = format!("{message}, so that it was cut: {}", cuts.join(", "));
    }
    if !fits {
        message.push_str("; the least of every stack is more than the budget");
    }
    soft_errors.push(SoftError::new(Stage::Memory, message));
}

/// Adds as much of `more`, in its order, as the budget has room for.
pub(super) fn fill(
    parts: &mut Vec<Part>,
    more: Vec<Part>,
    what: &str,
    budget: u64,
    soft_errors: &mut Vec<SoftError>,
) {
    let wanted = sum(&more);
    let mut left = budget.saturating_sub(sum(parts));
    if wanted > left {
        left = budget.saturating_sub(total(&merged(parts.iter().map(|part| part.range).collect())));
    }
    let mut dropped = 0_u64;
    for mut part in more {
        let size = part.range.size.min(left);
        dropped = dropped.saturating_add(part.range.size - size);
        left -= size;
        part.range.size = size;
        parts.extend(Some(part).filter(|part| part.range.size > 0));
    }
    if dropped > 0 {
        let message =
            format!("{dropped} bytes of {what} were left out to keep within the budget of {budget} bytes");
        soft_errors.push(SoftError::new(Stage::Memory, message));
    }
}

fn sum(parts: &[Part]) -> u64 {
    parts.iter().map(|part| part.range.size).fold(0, u64::saturating_add)
}
