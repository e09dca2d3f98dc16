//! Which memory a core holds and why, and where its table of holes lies.

use super::bytes::{Decoder, Encoder};
use super::tables::{PURPOSES, position};
use minidump_snapshot::{MemoryPlan, Purpose};

/// Most runs of ranges and most stacks that are read.
const MAX_RUNS: usize = 1 << 20;

/// What the plan of a core's memory says that its segments do not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanRecord {
    /// The core holds all that was readable.
    pub full_memory: bool,
    /// The memory in the order of the file: how many bytes are there for this purpose, then how many for that one.
    pub purposes: Vec<(Purpose, u64)>,
    /// The kept part of stacks: thread, first address, size in bytes.
    pub stacks: Vec<(u32, u64, u64)>,
}

/// Where the table of holes lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoleTable {
    /// Offset in the file.
    pub offset: u64,
    /// Number of its entries.
    pub capacity: u32,
}

pub(super) fn plan(plan: &MemoryPlan) -> Encoder {
    let mut runs: Vec<(Purpose, u64)> = Vec::new();
    for range in plan.ranges() {
        match runs.last_mut() {
            Some((purpose, size)) if *purpose == range.purpose => *size = size.saturating_add(range.size),
            _ => runs.push((range.purpose, range.size)),
        }
    }
    let mut to = Encoder::default();
    to.flag(plan.ranges().iter().any(|range| range.purpose == Purpose::Full));
    to.count(runs.len());
    for (purpose, size) in &runs {
        to.number(position(&PURPOSES, purpose));
        to.number(*size);
    }
    to.count(plan.stacks().len());
    let mut end = 0_u64;
    for stack in plan.stacks() {
        to.number(stack.thread);
        to.signed(stack.start.wrapping_sub(end));
        to.number(stack.size);
        end = stack.start.wrapping_add(stack.size);
    }
    to
}

pub(super) fn read_plan(from: &mut Decoder<'_>) -> Option<PlanRecord> {
    let full_memory = from.flag()?;
    let purposes = from.list(MAX_RUNS, |from| {
        let purpose = *PURPOSES.get(usize::try_from(from.number()?).ok()?)?;
        Some((purpose, from.number()?))
    })?;
    let mut end = 0_u64;
    let stacks = from.list(MAX_RUNS, |from| {
        let (thread, start, size) = (from.small()?, end.wrapping_add(from.signed()?), from.number()?);
        end = start.wrapping_add(size);
        Some((thread, start, size))
    })?;
    Some(PlanRecord { full_memory, purposes, stacks })
}

/// As many bytes for all offsets: the offset follows from the size of the record.
pub(super) fn hole_table(table: HoleTable) -> Encoder {
    let mut to = Encoder::default();
    to.raw(&table.offset.to_le_bytes());
    to.number(table.capacity);
    to
}

pub(super) fn read_hole_table(from: &mut Decoder<'_>) -> Option<HoleTable> {
    Some(HoleTable { offset: u64::from_le_bytes(from.array()?), capacity: from.small()? })
}
