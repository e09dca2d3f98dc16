use crate::region::{Region, RegionKind, find, index_at_or_above};
use crate::{Protection, Snapshot, Thread};

/// How far above a stack pointer that points at nothing the real stack is looked for: guard areas are at most this
/// large in practice, and a frame that jumps further has left its stack altogether.
const GUARD_REACH: u64 = 1 << 20;
/// The same for the main thread's stack, which the kernel grows: a large frame can point far below it.
const MAIN_STACK_REACH: u64 = 64 << 20;
/// A stack pointer this close to the low end of its mapping, on a stack above the cap, is overflowing it.
const OVERFLOW_MARGIN: u64 = 64 << 10;
/// How much of a capped, overflowing stack goes to its far end: one part in this many.
const TAIL_SHARE: u64 = 8;

/// A window starts at a multiple of this, in bytes.
const CACHE_LINE: u64 = 64;

/// A mapping of at most this size may be an alternative signal stack.
const SIGNAL_STACK: u64 = 256 << 10;

/// The part of a stack that a dump keeps, as half-open address ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackWindow {
    /// From the stack pointer (less the red zone) up; what unwinders start with.
    pub head: (u64, u64),
    /// The far end of an overflowing stack: who called the recursion.
    pub tail: Option<(u64, u64)>,
}

/// Chooses the part of `thread`'s stack to keep, at most `cap` bytes, from the sorted memory map.
///
/// * A stack pointer inside readable memory: from it, less the red zone, to the end of the mapping, across mappings
///   that continue it. The kernel merges neighbouring mappings, so where the thread pointer marks the end of the
///   thread's own stack inside the mapping, that is the end: what lies behind it is the program's heap.
/// * In a guard area or below a stack: the stack above it, from its low end.
/// * Anywhere else: the far end of the stack that the thread pointer (or, for the main thread, the kernel's mark)
///   tells of, so that something of the thread is kept.
///
/// `None` when there is no stack to be found.
#[must_use]
pub fn stack_window(regions: &[Region], thread: &Thread, is_main: bool, cap: u64) -> Option<StackWindow> {
    let sp = thread.stack_pointer()?;
    let red_zone = thread.cpu.as_ref().map_or(0, crate::CpuState::red_zone);
    let cap = cap.max(16);
    let Some((index, low)) = live_end(regions, sp, red_zone) else {
        return lost_stack(regions, thread, is_main, cap);
    };
    let region = regions.get(index)?;
    let limit = low.saturating_add(cap);
    let own_end = own_end(region, thread, low);
    let end = own_end.unwrap_or_else(|| continued_end(regions, index, limit));
    if end <= limit {
        return Some(StackWindow { head: (low, end), tail: None });
    }
    let overflowing = low.saturating_sub(region.start) < OVERFLOW_MARGIN && is_stack_like(region);
    let tail_size = if overflowing { cap / TAIL_SHARE } else { 0 };
    let far_end = own_end.unwrap_or(region.end);
    let tail = (tail_size > 0).then(|| (far_end.saturating_sub(tail_size), far_end));
    let head_end = limit - tail_size;
    match tail {
        // A region that ends inside the window (the rest is a continuation) has no far end of its own.
        Some((tail_start, _)) if tail_start > head_end => Some(StackWindow { head: (low, head_end), tail }),
        _ => Some(StackWindow { head: (low, limit), tail: None }),
    }
}

/// What a thread may have been doing before it went to a stack for signals: both ends of the thread's own stack, at most
/// `cap` bytes, because where in it the thread was is not known. `None` when `window` is its own stack, or is too large for
/// one that is for signals: programs whose threads run coroutines would otherwise have two stacks for each.
#[must_use]
pub fn interrupted_stack(
    regions: &[Region],
    thread: &Thread,
    is_main: bool,
    window: StackWindow,
    cap: u64,
) -> Option<[(u64, u64); 2]> {
    let current = find(regions, window.head.0)?;
    let (own, end) = if is_main {
        let own = regions.iter().find(|region| region.kind == RegionKind::Stack)?;
        (own, own.end)
    } else {
        let own = find(regions, thread.thread_pointer?).filter(|region| is_stack_like(region))?;
        (own, own_end(own, thread, own.start)?)
    };
    if own == current || current.end.saturating_sub(current.start) > SIGNAL_STACK {
        return None;
    }
    let half = (cap / 2).min(end.saturating_sub(own.start) / 2).next_multiple_of(16);
    Some([
        (own.start, own.start.saturating_add(half).min(end)),
        (end.saturating_sub(half).max(own.start), end),
    ])
}

/// The region that holds the live stack and the lowest address worth keeping in it.
fn live_end(regions: &[Region], sp: u64, red_zone: u64) -> Option<(usize, u64)> {
    let index = index_at_or_above(regions, sp)?;
    let first = regions.get(index)?;
    if first.contains(sp) && first.protection.contains(Protection::READ) && first.kind != RegionKind::Device {
        // From a whole cache line on: what is copied at full speed is aligned to them.
        let low = sp.saturating_sub(red_zone) & !(CACHE_LINE - 1);
        return Some((index, low.max(first.start)));
    }
    // Skip guard areas; there is rarely more than one, and four bound the walk.
    for (index, region) in regions.iter().enumerate().skip(index).take(4) {
        let reach = if region.kind == RegionKind::Stack { MAIN_STACK_REACH } else { GUARD_REACH };
        if region.start.saturating_sub(sp) > reach {
            return None;
        }
        if is_stack_like(region) {
            return Some((index, region.start));
        }
        if region.protection.contains(Protection::READ) {
            return None;
        }
    }
    None
}

fn is_stack_like(region: &Region) -> bool {
    let writable = region.protection.contains(Protection::READ | Protection::WRITE);
    writable && !matches!(region.kind, RegionKind::Kernel | RegionKind::Device)
}

/// Where the thread's own stack ends inside `region`: behind the thread block, which thread libraries put at the
/// high end of the stack they make.
fn own_end(region: &Region, thread: &Thread, low: u64) -> Option<u64> {
    /// Size of glibc's `struct pthread` on x86-64; that of musl with its thread-specific data is smaller.
    const THREAD_BLOCK: u64 = 0x900;
    const PAGE: u64 = 0x1000;
    let pointer = thread.thread_pointer.filter(|pointer| *pointer >= low && region.contains(*pointer))?;
    let end = pointer.checked_add(THREAD_BLOCK)?.checked_next_multiple_of(PAGE)?;
    Some(end.min(region.end))
}

/// End of the memory that continues region `index` without a gap, followed no further than `limit`.
fn continued_end(regions: &[Region], index: usize, limit: u64) -> u64 {
    let mut rest = regions.get(index..).unwrap_or_default().iter();
    let Some(first) = rest.next() else { return 0 };
    let mut end = first.end;
    for next in rest {
        let continues = next.start == end && is_stack_like(next) && next.kind == first.kind;
        if end > limit || !continues {
            break;
        }
        end = next.end;
    }
    end
}

/// For a stack pointer that points nowhere: the far end of the stack that the thread is known to own.
fn lost_stack(regions: &[Region], thread: &Thread, is_main: bool, cap: u64) -> Option<StackWindow> {
    let (region, end) = if is_main {
        let region = regions.iter().find(|region| region.kind == RegionKind::Stack)?;
        (region, region.end)
    } else {
        // Thread libraries put the thread block, which the thread pointer marks, at the high end of the stack.
        let pointer = thread.thread_pointer?;
        let region = find(regions, pointer).filter(|region| is_stack_like(region))?;
        (region, pointer)
    };
    let head = (region.start.max(end.saturating_sub(cap)), end);
    (head.0 < head.1).then_some(StackWindow { head, tail: None })
}

/// All of what may be a thread's stack, from its low end on, without the heap that the kernel merged with it. Bounds
/// in no order, which may overlap.
pub(crate) fn stack_extents(snapshot: &Snapshot) -> Vec<(u64, u64)> {
    let regions = &snapshot.regions;
    let kernel_made = regions.iter().filter(|region| region.kind == RegionKind::Stack);
    let mut extents: Vec<_> = kernel_made.map(|region| (region.start, region.end)).collect();
    for thread in &snapshot.threads {
        let is_main = thread.id == snapshot.process.pid;
        if let Some(window) = stack_window(regions, thread, is_main, u64::MAX) {
            let (low, end) = window.head;
            extents.push((find(regions, low).map_or(low, |region| region.start), end));
        }
        // The thread may be on another stack than its own: on one for signals, or a coroutine's.
        let own = thread.thread_pointer.filter(|_| !is_main).and_then(|pointer| find(regions, pointer));
        let own = own.filter(|region| is_stack_like(region));
        extents.extend(own.and_then(|region| Some((region.start, own_end(region, thread, region.start)?))));
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::{Amd64State, CpuState};

    const RW: Protection = Protection::READ.union(Protection::WRITE);

    fn region(start: u64, end: u64, protection: Protection, kind: RegionKind) -> Region {
        Region { start, end, protection, shared: false, kind, dont_dump: false, offset: 0, name: Vec::new() }
    }

    fn thread(rsp: u64) -> Thread {
        let cpu = CpuState::Amd64(Box::new(Amd64State { rsp, ..Amd64State::default() }));
        Thread { cpu: Some(cpu), ..Thread::new(7) }
    }

    fn guarded_stack() -> Vec<Region> {
        vec![
            region(0x10_0000, 0x10_1000, Protection::empty(), RegionKind::Anonymous),
            region(0x10_1000, 0x90_0000, RW, RegionKind::Anonymous),
            region(0x90_0000, 0x90_1000, Protection::empty(), RegionKind::Anonymous),
        ]
    }

    #[test]
    fn the_window_starts_below_sp_by_the_red_zone_and_ends_with_the_mapping() {
        let window = stack_window(&guarded_stack(), &thread(0x8f_f000), false, 1 << 18);
        assert_eq!(window, Some(StackWindow { head: (0x8f_f000 - 128, 0x90_0000), tail: None }));
    }

    #[test]
    fn of_a_thread_on_a_signal_stack_both_ends_of_its_own_are_kept() {
        let signal_stack = region(0x1_0000, 0x2_0000, RW, RegionKind::Anonymous);
        let regions = [vec![signal_stack], guarded_stack()].concat();
        // The thread block takes the last page.
        let thread = Thread { thread_pointer: Some(0x8f_f6c0), ..thread(0x1_8000) };
        let window = stack_window(&regions, &thread, false, 1 << 18).unwrap();
        assert_eq!(window.head, (0x1_8000 - 128, 0x2_0000));
        let interrupted = |thread: &Thread, cap| {
            let window = stack_window(&regions, thread, false, 1 << 18).unwrap();
            interrupted_stack(&regions, thread, false, window, cap)
        };
        let [head, tail] = interrupted(&thread, 1 << 17).unwrap();
        assert_eq!(head, (0x10_1000, 0x10_1000 + (1 << 16)));
        assert_eq!(tail, (0x90_0000 - (1 << 16), 0x90_0000));
        let [head, tail] = interrupted(&thread, u64::MAX).unwrap();
        assert_eq!((head.0, head.1, tail.1), (0x10_1000, tail.0, 0x90_0000), "all of it");
        let on_its_own = Thread { cpu: self::thread(0x8f_0000).cpu, ..thread };
        assert_eq!(interrupted(&on_its_own, 1 << 17), None);
    }

    #[test]
    fn a_thread_on_a_large_stack_of_others_is_no_handler_of_signals() {
        let heap = region(0x1000_0000, 0x5000_0000, RW, RegionKind::Anonymous);
        let regions = [guarded_stack(), vec![heap]].concat();
        let thread = Thread { thread_pointer: Some(0x8f_f6c0), ..thread(0x3000_0000) };
        let window = stack_window(&regions, &thread, false, 1 << 18).unwrap();
        assert_eq!(interrupted_stack(&regions, &thread, false, window, 1 << 17), None);
    }

    #[test]
    fn the_red_zone_does_not_reach_below_the_mapping() {
        let window = stack_window(&guarded_stack(), &thread(0x10_1010), false, 1 << 24).unwrap();
        assert_eq!(window.head, (0x10_1000, 0x90_0000));
    }

    #[test]
    fn sp_in_the_guard_page_keeps_the_stack_above_it_with_head_and_tail() {
        let window = stack_window(&guarded_stack(), &thread(0x10_0ff8), false, 1 << 18).unwrap();
        assert_eq!(window.head, (0x10_1000, 0x10_1000 + (1 << 18) - (1 << 15)));
        assert_eq!(window.tail, Some((0x90_0000 - (1 << 15), 0x90_0000)));
    }

    #[test]
    fn sp_far_below_the_main_stack_finds_it() {
        let regions =
            [guarded_stack(), vec![region(0x7000_0000, 0x7080_0000, RW, RegionKind::Stack)]].concat();
        let window = stack_window(&regions, &thread(0x6e00_0000), true, 1 << 18).unwrap();
        assert_eq!(window.head.0, 0x7000_0000);
        assert!(window.tail.is_some());
    }

    #[test]
    fn a_small_window_in_a_huge_mapping_is_capped_without_a_tail() {
        let regions = [region(0x1000_0000, 0x5000_0000, RW, RegionKind::Anonymous)];
        let window = stack_window(&regions, &thread(0x3000_0000), false, 1 << 18).unwrap();
        assert_eq!(
            window,
            StackWindow { head: (0x3000_0000 - 128, 0x3000_0000 - 128 + (1 << 18)), tail: None }
        );
    }

    #[test]
    fn heap_that_the_kernel_merged_with_a_stack_is_left_out() {
        let regions = [region(0x1000_0000, 0x5000_0000, RW, RegionKind::Anonymous)];
        let thread = Thread { thread_pointer: Some(0x1007_f6c0), ..thread(0x1007_0000) };
        let window = stack_window(&regions, &thread, false, 1 << 18).unwrap();
        assert_eq!(window, StackWindow { head: (0x1007_0000 - 128, 0x1008_0000), tail: None });
        let above = Thread { thread_pointer: Some(0x1000_1000), ..thread };
        let window = stack_window(&regions, &above, false, 1 << 18).unwrap();
        assert_eq!(window.head.1 - window.head.0, 1 << 18, "a thread pointer below SP tells nothing");
    }

    #[test]
    fn a_stack_split_over_mappings_is_followed() {
        let regions = [
            region(0x1000, 0x2000, RW, RegionKind::Anonymous),
            region(0x2000, 0x3000, RW | Protection::EXECUTE, RegionKind::Anonymous),
            region(0x3000, 0x4000, Protection::READ, RegionKind::Anonymous),
        ];
        let window = stack_window(&regions, &thread(0x1f00), false, 1 << 18).unwrap();
        assert_eq!(window.head, (0x1e80, 0x3000));
    }

    #[test]
    fn a_lost_stack_pointer_falls_back_to_what_the_thread_pointer_marks() {
        for sp in [0, 0xdead_beef_dead_beef, u64::MAX] {
            let mut thread = thread(sp);
            assert_eq!(stack_window(&guarded_stack(), &thread, false, 0x1000), None);
            thread.thread_pointer = Some(0x8f_f6c0);
            let window = stack_window(&guarded_stack(), &thread, false, 0x1000).unwrap();
            assert_eq!(window.head, (0x8f_e6c0, 0x8f_f6c0));
        }
    }

    #[test]
    fn device_memory_is_no_stack() {
        let regions = [region(0x1000, 0x9000, RW, RegionKind::Device)];
        assert_eq!(stack_window(&regions, &thread(0x2000), false, 1 << 18), None);
        assert_eq!(stack_window(&regions, &thread(0x800), false, 1 << 18), None);
    }

    #[test]
    fn memory_just_above_a_bad_pointer_is_no_stack_unless_it_is_writable() {
        let regions = [region(0x40_0000, 0x50_0000, Protection::READ, RegionKind::File)];
        assert_eq!(stack_window(&regions, &thread(0x3f_f000), false, 1 << 18), None);
    }
}
