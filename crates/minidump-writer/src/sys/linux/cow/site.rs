//! Finding the instructions that a borrowed thread needs, so that none has to be written into the target.

use super::super::maps::Mapping;
use super::super::memory::ProcessMemory;
use crate::snapshot::{MemorySource, Protection, RegionKind};

/// The instruction (Intel SDM volume 2, SYSCALL).
const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// `ret` behind it, as at the end of the C library's simplest functions, such as getpid.
const RETURN: u8 = 0xc3;
/// `mov rax, 15` or `mov eax, 15` in front of it: rt_sigreturn. Every handler of a signal returns to it, so it is in
/// every C library, and in the runtimes that do without one.
const SIGNAL_RETURNS: [&[u8]; 2] = [&[0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0], &[0xb8, 0x0f, 0, 0, 0]];
/// Most code that is searched, in bytes.
const MOST_SEARCHED: usize = 16 << 20;
/// Bytes read at once, and how much of them is read again with the next, for what straddles both.
const CHUNK: usize = 256 << 10;
const OVERLAP: usize = 16;

/// Addresses in executable memory.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// Of a `syscall` with a `ret` behind it.
    pub call: u64,
    /// Of the instructions that return from a signal handler.
    pub signal_return: u64,
}

/// Finds them: in the C library, which has both early on, or else in any code.
pub fn find(mappings: &[Mapping], maps_text: &[u8], memory: &ProcessMemory) -> Option<Code> {
    let both = Protection::READ | Protection::EXECUTE;
    let is_library = |mapping: &&Mapping| {
        let name = mapping.name(maps_text);
        let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        name.starts_with(b"libc.") || name.starts_with(b"libc-") || name.starts_with(b"ld-musl")
    };
    let (library, others): (Vec<&Mapping>, Vec<&Mapping>) = mappings
        .iter()
        .filter(|mapping| mapping.protection.contains(both) && mapping.kind(maps_text) != RegionKind::Device)
        .partition(is_library);
    let mut search = Search { memory, budget: MOST_SEARCHED, call: None, signal_return: None };
    library.into_iter().chain(others).find_map(|mapping| search.through(mapping))
}

struct Search<'a> {
    memory: &'a ProcessMemory,
    budget: usize,
    call: Option<u64>,
    signal_return: Option<u64>,
}

impl Search<'_> {
    fn through(&mut self, mapping: &Mapping) -> Option<Code> {
        let mut buffer = vec![0; CHUNK];
        let mut at = mapping.start;
        while at < mapping.end && self.budget > 0 {
            let size = usize::try_from(mapping.end - at).unwrap_or(CHUNK).min(CHUNK);
            self.budget = self.budget.saturating_sub(size);
            let chunk = buffer.get_mut(..size)?;
            let done = self.memory.read(at, chunk).done;
            self.look_at(at, chunk.get(..done).unwrap_or_default());
            if let (Some(call), Some(signal_return)) = (self.call, self.signal_return) {
                return Some(Code { call, signal_return });
            }
            if done < size || size <= OVERLAP {
                return None;
            }
            at = at.checked_add((size - OVERLAP) as u64)?;
            if mapping.end.saturating_sub(at) <= OVERLAP as u64 {
                return None;
            }
        }
        None
    }

    fn look_at(&mut self, start: u64, bytes: &[u8]) {
        let mut from = 0;
        while let Some(offset) = bytes.get(from..).and_then(next_syscall).map(|offset| from + offset) {
            let (before, here) = bytes.split_at_checked(offset).unwrap_or_default();
            if here.get(SYSCALL.len()) == Some(&RETURN) {
                self.call = self.call.or_else(|| start.checked_add(offset as u64));
            }
            if let Some(pattern) = SIGNAL_RETURNS.into_iter().find(|pattern| before.ends_with(pattern)) {
                let first = offset.saturating_sub(pattern.len());
                self.signal_return = self.signal_return.or_else(|| start.checked_add(first as u64));
            }
            from = offset + SYSCALL.len();
        }
    }
}

fn next_syscall(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        // The plain search for one byte is what the compiler makes fast.
        from += bytes.get(from..)?.iter().position(|byte| *byte == SYSCALL[0])?;
        if bytes.get(from..)?.starts_with(&SYSCALL) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> (Option<u64>, Option<u64>) {
        let memory = ProcessMemory::new(0, None, false);
        let mut search = Search { memory: &memory, budget: 0, call: None, signal_return: None };
        search.look_at(0x1000, bytes);
        (search.call, search.signal_return)
    }

    #[test]
    fn instructions_are_found_where_they_begin() {
        assert_eq!(found(&[0x90, 0x0f, 0x05, 0xc3]), (Some(0x1001), None));
        assert_eq!(found(&[0x0f, 0x05, 0x90, 0x0f, 0x05, 0xc3, 0x0f, 0x05, 0xc3]), (Some(0x1003), None));
        let long = [0x90, 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
        assert_eq!(found(&long), (None, Some(0x1001)));
        let short = [0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05, 0xc3];
        assert_eq!(found(&short), (Some(0x1005), Some(0x1000)));
    }

    #[test]
    fn pieces_of_instructions_are_not_taken_for_them() {
        assert_eq!(found(&[0x0f, 0x05]), (None, None));
        assert_eq!(found(&[0x05, 0xc3, 0x0f]), (None, None));
        assert_eq!(found(&[0xb8, 0x0f, 0, 0, 0, 0x0f]), (None, None));
        assert_eq!(found(&[0xb8, 0x0e, 0, 0, 0, 0x0f, 0x05]), (None, None));
    }
}
