//! Which memory is the stack of a thread.

use super::threads::ThreadHandle;
use crate::snapshot::{MemorySource, Region, RegionKind, WindowsRegion};

/// Marks the regions that are stacks of `threads`. Stacks are allocations like any other, and what comes behind one may touch
/// it: without the mark it would be taken for the rest of the stack.
///
/// `NT_TIB`, with which an environment block begins, tells where a stack ends (`StackBase`, winnt.h).
pub fn mark(
    regions: &mut [Region],
    address_space: &[WindowsRegion],
    threads: &[ThreadHandle],
    memory: &dyn MemorySource,
    pointer_size: usize,
) {
    for thread in threads {
        let Some(base) = stack_base(thread.own_teb(), memory, pointer_size) else { continue };
        let Some(start) = allocation_base(address_space, base) else { continue };
        let first = regions.partition_point(|region| region.start < start);
        let behind = regions.get_mut(first..).unwrap_or_default().iter_mut();
        for region in behind.take_while(|region| region.end <= base) {
            if region.kind == RegionKind::Anonymous {
                region.kind = RegionKind::Stack;
            }
        }
    }
}

fn stack_base(teb: u64, memory: &dyn MemorySource, pointer_size: usize) -> Option<u64> {
    let mut bytes = [0; 8];
    let field = bytes.get_mut(..pointer_size)?;
    let address = teb.checked_add(pointer_size as u64).filter(|_| teb != 0)?;
    let came = memory.read(address, field).done;
    Some(u64::from_le_bytes(bytes)).filter(|base| came == pointer_size && *base != 0)
}

/// Where the allocation begins that has the byte in front of `end`.
fn allocation_base(address_space: &[WindowsRegion], end: u64) -> Option<u64> {
    let last = end.checked_sub(1)?;
    let next = address_space.partition_point(|range| range.base <= last);
    let range = address_space.get(next.checked_sub(1)?)?;
    (last - range.base < range.size && range.allocation_base != 0).then_some(range.allocation_base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{BufferSource, Protection};
    use std::os::windows::io::OwnedHandle;
    use std::sync::Arc;

    const TEB: u64 = 0x7000;

    fn region(start: u64, end: u64) -> Region {
        Region {
            start,
            end,
            protection: Protection::READ | Protection::WRITE,
            shared: false,
            kind: RegionKind::Anonymous,
            dont_dump: false,
            offset: 0,
            name: Vec::new(),
        }
    }

    fn range(base: u64, end: u64, allocation_base: u64) -> WindowsRegion {
        WindowsRegion { base, size: end - base, allocation_base, ..WindowsRegion::default() }
    }

    /// What is a stack, when the thread says that its own ends at `base`.
    fn marked(base: u64) -> Vec<bool> {
        let handle: OwnedHandle = std::fs::File::open(std::env::current_exe().unwrap()).unwrap().into();
        let thread = ThreadHandle { id: 1, handle: Arc::new(handle), teb: TEB, teb32: None, affinity: 1 };
        let mut memory = BufferSource::new();
        assert!(memory.insert(TEB + 8, base.to_le_bytes().to_vec()));
        // A stack with its guard page, and an allocation that touches it.
        let mut regions = [region(0x2000, 0x3000), region(0x3000, 0x5000), region(0x5000, 0x6000)];
        let space = [
            range(0, 0x1000, 0),
            range(0x1000, 0x2000, 0x1000),
            range(0x2000, 0x3000, 0x1000),
            range(0x3000, 0x5000, 0x1000),
            range(0x5000, 0x6000, 0x5000),
        ];
        mark(&mut regions, &space, &[thread], &memory, 8);
        regions.iter().map(|region| region.kind == RegionKind::Stack).collect()
    }

    #[test]
    fn what_touches_a_stack_is_none() {
        assert_eq!(marked(0x5000), [true, true, false]);
    }

    #[test]
    fn nonsense_marks_nothing() {
        for base in [0, 1, 0x1000, 0x9000, u64::MAX] {
            assert_eq!(marked(base), [false; 3], "{base:#x}");
        }
    }
}
