use super::intervals::Intervals;
use crate::memory::stack_extents;
use crate::memory::words::number;
use crate::{MemoryPlan, MemorySource, Protection, ReadOutcome, ReadRequest, Snapshot, Thread};

/// What a defaced word of eight bytes reads as: 0x0defaced0defaced. One of four bytes is half of it.
const MARKER: [u8; 8] = 0x0def_aced_0def_aced_u64.to_le_bytes();

/// Numbers up to this one, of both signs, tell nothing secret and much about a crash.
const SMALL: u64 = 4096;

/// A [`MemorySource`] that shows of stacks only what an unwinder needs.
///
/// Of the stacks of all threads it keeps words that point into a stack, into a module or into executable memory, and
/// integers from -4096 to 4096. All other words become [`MARKER`](SanitizedMemory::MARKER), and words below the stack
/// pointer become zero. A word of which not all bytes can be read counts as secret.
///
/// Other memory is not changed, and neither are registers. The stack of a thread whose registers are not known cannot
/// be told from other memory.
pub struct SanitizedMemory<'a> {
    memory: &'a dyn MemorySource,
    word_size: u64,
    /// Stacks, from and to a multiple of the word size.
    stacks: Intervals,
    /// Memory below the stack pointers; a part of `stacks`.
    dead: Intervals,
    /// Where a pointer may point that is kept.
    known: Intervals,
}

impl<'a> SanitizedMemory<'a> {
    /// The marker, in memory order.
    pub const MARKER: [u8; 8] = MARKER;

    /// Sanitises the stacks in `memory`: those of the threads of `snapshot`, from end to end, and whatever else `plan`
    /// holds as a stack.
    #[must_use]
    pub fn new(memory: &'a dyn MemorySource, snapshot: &Snapshot, plan: &MemoryPlan) -> Self {
        let word_size = snapshot.system.cpu.pointer_size() as u64;
        let down = |address: u64| address - address % word_size;
        let up = |address: u64| address.checked_next_multiple_of(word_size).unwrap_or(u64::MAX);
        let mut extents = stack_extents(snapshot);
        let planned = plan.stacks().iter().map(|stack| (stack.start, stack.start.saturating_add(stack.size)));
        extents.extend(planned);
        let stacks = Intervals::new(extents.iter().map(|(start, end)| (down(*start), up(*end))).collect());
        let modules =
            snapshot.modules.iter().map(|module| (module.base, module.base.saturating_add(module.size)));
        let code = snapshot.regions.iter().filter(|region| region.protection.contains(Protection::EXECUTE));
        let code = code.map(|region| (region.start, region.end));
        let known = Intervals::new(extents.into_iter().chain(modules).chain(code).collect());
        let dead = dead_parts(snapshot, &stacks).map(|(start, end)| (start, down(end))).collect();
        Self { memory, word_size, stacks, dead: Intervals::new(dead), known }
    }

    /// Sanitises `bytes`, which were read from `address`.
    fn sanitise(&self, address: u64, bytes: Option<&mut [u8]>) {
        let bytes = bytes.unwrap_or_default();
        self.stacks.change(address, bytes, |at, bytes| self.deface(at, bytes));
        self.dead.change(address, bytes, |_, bytes| bytes.fill(0));
    }

    /// Defaces the bytes of a stack at address `at`, which may begin and end inside a word.
    fn deface(&self, at: u64, bytes: &mut [u8]) {
        let word_size = usize::try_from(self.word_size).unwrap_or(MARKER.len());
        let lead = at.checked_next_multiple_of(self.word_size).unwrap_or(u64::MAX) - at;
        let lead = usize::try_from(lead).unwrap_or(usize::MAX).min(bytes.len());
        let (first, rest) = bytes.split_at_mut(lead);
        self.deface_piece(at, first);
        let rest_at = at.saturating_add(lead as u64);
        let whole = rest.len() - rest.len() % word_size;
        let mut latest = (0, 0);
        let mut words = rest.chunks_exact_mut(word_size);
        for word in &mut words {
            if !self.is_kept(number(word), &mut latest) {
                overwrite(word, &MARKER);
            }
        }
        self.deface_piece(rest_at.saturating_add(whole as u64), words.into_remainder());
    }

    /// Defaces the bytes at address `at`, which are a part of one word. The word decides as a whole, so that every
    /// read shows the same.
    fn deface_piece(&self, at: u64, bytes: &mut [u8]) {
        if bytes.is_empty() {
            return;
        }
        let inside = at % self.word_size;
        let mut word = MARKER;
        let size = usize::try_from(self.word_size).unwrap_or(MARKER.len());
        let Some(whole) = word.get_mut(..size) else { return bytes.fill(0) };
        let readable = self.memory.read(at - inside, whole).done == size;
        if !readable || !self.is_kept(number(whole), &mut (0, 0)) {
            word = MARKER;
        }
        overwrite(
            bytes,
            usize::try_from(inside).ok().and_then(|inside| word.get(inside..)).unwrap_or_default(),
        );
    }

    /// Whether a word may be shown. `latest` is the known range that the word before pointed to.
    fn is_kept(&self, value: u64, latest: &mut (u64, u64)) -> bool {
        let mask = if self.word_size == 8 { u64::MAX } else { u64::from(u32::MAX) };
        if value.wrapping_add(SMALL) & mask <= 2 * SMALL || (latest.0 <= value && value < latest.1) {
            return true;
        }
        let found = self.known.holding(value);
        *latest = found.unwrap_or(*latest);
        found.is_some()
    }
}

/// Replaces as many of `bytes` as there are `new` ones.
fn overwrite(bytes: &mut [u8], new: &[u8]) {
    bytes.iter_mut().zip(new).for_each(|(byte, new)| *byte = *new);
}

/// Of each stack the part below the lowest stack pointer in it. Several threads may share what looks like one stack.
fn dead_parts(snapshot: &Snapshot, stacks: &Intervals) -> impl Iterator<Item = (u64, u64)> {
    let mut pointers: Vec<u64> = snapshot.threads.iter().filter_map(Thread::stack_pointer).collect();
    pointers.sort_unstable();
    stacks.ranges().to_vec().into_iter().filter_map(move |(start, end)| {
        let lowest = pointers.get(pointers.partition_point(|pointer| *pointer < start))?;
        Some((start, *lowest)).filter(|(_, lowest)| *lowest < end)
    })
}

impl MemorySource for SanitizedMemory<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let outcome = self.memory.read(address, buffer);
        self.sanitise(address, buffer.get_mut(..outcome.done));
        outcome
    }

    fn read_batch(&self, requests: &mut [ReadRequest<'_>]) {
        self.memory.read_batch(requests);
        for request in requests {
            self.sanitise(request.address, request.buffer.get_mut(..request.outcome.done));
        }
    }
}

#[cfg(test)]
mod tests;
