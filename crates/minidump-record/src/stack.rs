//! Which part of a stack is worth keeping.

use crate::maps::{Mapping, Maps};

/// Memory below the stack pointer that leaf functions use (System V ABI for x86-64, §3.2.2).
pub(crate) const RED_ZONE: u64 = 128;
/// Most bytes kept of the crashing thread's stack.
pub(crate) const STACK_CAP: u64 = 256 << 10;
/// Of a stack that overflows, this much is taken from its far end: who called the recursion.
const TAIL: u64 = STACK_CAP / 8;
/// A stack pointer this close to the low end of its mapping is overflowing it.
const OVERFLOW_MARGIN: u64 = 64 << 10;
/// How far above a stack pointer that points at nothing the stack is looked for: guard areas are smaller.
const GUARD_REACH: u64 = 1 << 20;
/// The same for the main thread's stack, which the kernel grows.
const MAIN_STACK_REACH: u64 = 64 << 20;
/// Most mappings that are taken for guard areas.
const MAX_GUARDS: u32 = 4;
/// Size of glibc's thread block, which lies at the far end of a stack that it made. That of musl is smaller.
const THREAD_BLOCK: u64 = 0x900;
const PAGE: u64 = 0x1000;

/// Memory in the file.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Range {
    pub start: u64,
    pub size: u32,
    pub rva: u32,
}

/// The part of a stack to keep, as half-open address ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub head: (u64, u64),
    pub tail: Option<(u64, u64)>,
}

/// Finds the crashing thread's stack, in one pass over the mappings by ascending address.
pub(crate) struct StackSearch {
    sp: u64,
    thread_pointer: Option<u64>,
    is_main: bool,
    /// The mapping with the stack: its start, its end (with what continues it), and the lowest address to keep.
    live: Option<(u64, u64, u64)>,
    is_lost: bool,
    guards: u32,
    /// Stack by the kernel's mark, and mapping with the thread pointer.
    main_stack: Option<(u64, u64)>,
    own: Option<(u64, u64)>,
}

impl StackSearch {
    /// For the stack pointer, the thread pointer (`None` when unknown), and whether it is the main thread.
    pub(crate) fn new(sp: u64, thread_pointer: Option<u64>, is_main: bool) -> Self {
        let (live, main_stack, own) = (None, None, None);
        Self { sp, thread_pointer, is_main, live, is_lost: false, guards: 0, main_stack, own }
    }

    /// Looks at all mappings.
    pub(crate) fn run(mut self, maps: &mut Maps<'_>) -> Option<Window> {
        while let Some(mapping) = maps.next() {
            self.see(&mapping);
        }
        self.window()
    }

    fn see(&mut self, mapping: &Mapping<'_>) {
        if mapping.name == b"[stack]" {
            self.main_stack = Some((mapping.start, mapping.end));
        }
        if self.thread_pointer.is_some_and(|pointer| mapping.contains(pointer)) && mapping.is_stack_like() {
            self.own = Some((mapping.start, mapping.end));
        }
        match self.live {
            Some((start, end, low)) => {
                let is_whole = end.saturating_sub(low) > STACK_CAP;
                if mapping.start == end && mapping.is_stack_like() && !is_whole {
                    self.live = Some((start, mapping.end, low));
                }
            }
            None if !self.is_lost && mapping.end > self.sp => self.consider(mapping),
            None => {}
        }
    }

    /// A mapping at or above the stack pointer, while there is no stack yet.
    fn consider(&mut self, mapping: &Mapping<'_>) {
        let is_kernel_stack = mapping.name == b"[stack]";
        let reach = if is_kernel_stack { MAIN_STACK_REACH } else { GUARD_REACH };
        if mapping.contains(self.sp) && mapping.readable && !mapping.is_device() {
            let low = self.sp.saturating_sub(RED_ZONE).max(mapping.start);
            self.live = Some((mapping.start, mapping.end, low));
        } else if mapping.start.saturating_sub(self.sp) > reach || self.guards == MAX_GUARDS {
            // What lies further up may still be the main thread's stack, whose reach is larger.
            self.is_lost = mapping.start.saturating_sub(self.sp) > MAIN_STACK_REACH;
        } else if mapping.is_stack_like() {
            self.live = Some((mapping.start, mapping.end, mapping.start));
        } else if mapping.readable {
            self.is_lost = true;
        } else {
            self.guards = self.guards.saturating_add(1);
        }
    }

    fn window(&self) -> Option<Window> {
        let Some((start, end, low)) = self.live else { return self.lost_stack() };
        let end = self.own_end(low, end).unwrap_or(end);
        if end.saturating_sub(low) <= STACK_CAP {
            return Some(Window { head: (low, end), tail: None });
        }
        let limit = low.saturating_add(STACK_CAP);
        let (head_end, tail_start) = (limit.saturating_sub(TAIL), end.saturating_sub(TAIL));
        if low.saturating_sub(start) < OVERFLOW_MARGIN && tail_start > head_end {
            return Some(Window { head: (low, head_end), tail: Some((tail_start, end)) });
        }
        Some(Window { head: (low, limit), tail: None })
    }

    /// Where the thread's own stack ends inside the mapping: behind its thread block. The kernel merges mappings, so
    /// that what follows may be the program's heap.
    fn own_end(&self, low: u64, end: u64) -> Option<u64> {
        let pointer = self.thread_pointer.filter(|pointer| (low..end).contains(pointer))?;
        Some(pointer.checked_add(THREAD_BLOCK)?.checked_next_multiple_of(PAGE)?.min(end))
    }

    /// For a stack pointer that points nowhere: the far end of the stack that the thread is known to own.
    fn lost_stack(&self) -> Option<Window> {
        let (start, end) = if self.is_main { self.main_stack? } else { (self.own?.0, self.thread_pointer?) };
        let head = (start.max(end.saturating_sub(STACK_CAP)), end);
        (head.0 < head.1).then_some(Window { head, tail: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, access: &str, name: &'static [u8]) -> Mapping<'static> {
        let [readable, writable, executable] = ["r", "w", "x"].map(|letter| access.contains(letter));
        Mapping { start, end, readable, writable, executable, offset: 0, device: (0, 0), inode: 0, name }
    }

    fn search(sp: u64, pointer: Option<u64>, is_main: bool, mappings: &[Mapping<'static>]) -> Option<Window> {
        let mut search = StackSearch::new(sp, pointer, is_main);
        for mapping in mappings {
            search.see(mapping);
        }
        search.window()
    }

    fn guarded() -> [Mapping<'static>; 3] {
        [
            mapping(0x10_0000, 0x10_1000, "", b""),
            mapping(0x10_1000, 0x90_0000, "rw", b""),
            mapping(0x90_0000, 0x90_1000, "", b""),
        ]
    }

    #[test]
    fn the_window_reaches_from_the_red_zone_to_the_end_of_the_mapping() {
        let window = search(0x8f_f000, None, false, &guarded());
        assert_eq!(window, Some(Window { head: (0x8f_f000 - 128, 0x90_0000), tail: None }));
        let window = search(0x8f_f000, Some(0x8f_f6c0), false, &guarded());
        assert_eq!(window, Some(Window { head: (0x8f_f000 - 128, 0x90_0000), tail: None }));
    }

    #[test]
    fn heap_behind_the_thread_block_is_no_stack() {
        let window = search(0x20_0000, Some(0x20_36c0), false, &guarded());
        assert_eq!(window, Some(Window { head: (0x20_0000 - 128, 0x20_4000), tail: None }));
    }

    #[test]
    fn a_stack_pointer_in_the_guard_page_keeps_head_and_tail() {
        let head = (0x10_1000, 0x10_1000 + (256 << 10) - (32 << 10));
        let tail = Some((0x90_0000 - (32 << 10), 0x90_0000));
        for sp in [0x10_0ff8, 0x10_1000, 0xf_ffff] {
            assert_eq!(search(sp, None, false, &guarded()), Some(Window { head, tail }));
        }
    }

    #[test]
    fn the_main_threads_stack_is_found_from_far_below() {
        let stack = mapping(0x7000_0000, 0x7000_8000, "rw", b"[stack]");
        let [guard, worker, end] = guarded();
        let all = [guard, worker, end, mapping(0x6fff_0000, 0x6fff_1000, "r", b"[vvar]"), stack];
        let window = search(0x6e00_0000, None, true, &all);
        assert_eq!(window, Some(Window { head: (0x7000_0000, 0x7000_8000), tail: None }));
    }

    #[test]
    fn a_stack_pointer_to_nowhere_falls_back_to_the_stack_the_thread_owns() {
        for sp in [0, 0xdead_beef_dead_beef, u64::MAX] {
            assert_eq!(search(sp, None, false, &guarded()), None);
            let window = search(sp, Some(0x8f_f6c0), false, &guarded());
            assert_eq!(window, Some(Window { head: (0x8f_f6c0 - STACK_CAP, 0x8f_f6c0), tail: None }));
            let stack = [mapping(0x7000_0000, 0x7000_8000, "rw", b"[stack]")];
            let window = search(sp, None, true, &stack);
            assert_eq!(window, Some(Window { head: (0x7000_0000, 0x7000_8000), tail: None }));
        }
    }

    #[test]
    fn a_stack_split_over_mappings_is_followed_and_device_memory_is_none() {
        let split = [
            mapping(0x1000, 0x2000, "rw", b""),
            mapping(0x2000, 0x3000, "rwx", b""),
            mapping(0x3000, 0x4000, "r", b""),
        ];
        assert_eq!(search(0x1f00, None, false, &split), Some(Window { head: (0x1e80, 0x3000), tail: None }));
        assert_eq!(search(0x2000, None, false, &[mapping(0x1000, 0x9000, "rw", b"/dev/fb0")]), None);
    }
}
