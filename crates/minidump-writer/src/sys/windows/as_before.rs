//! What holding a process changes in its memory.

use super::process::ProcessFacts;
use crate::snapshot::MemorySource;

/// Where `BeingDebugged` lies in the process environment block (winternl.h).
const BEING_DEBUGGED: u64 = 2;

/// Bytes that the system changes while a process is held by debugging it, as they are otherwise: the dump is to have the
/// process as it is without the dumper.
#[derive(Debug, Clone, Default)]
pub struct AsBefore(Vec<(u64, u8)>);

impl AsBefore {
    /// Reads them from the `memory` of a process that is not held yet.
    pub fn read(process: &ProcessFacts, memory: &dyn MemorySource) -> Self {
        let blocks = [process.peb, process.peb32].into_iter().flatten();
        let places = blocks.filter_map(|block| block.checked_add(BEING_DEBUGGED));
        let read = |address| {
            let mut byte = [0];
            (memory.read(address, &mut byte).done == 1).then_some((address, byte[0]))
        };
        Self(places.filter_map(read).collect())
    }

    /// Puts those that lie in `bytes`, which begin at `address`, in their places.
    pub fn put(&self, address: u64, bytes: &mut [u8]) {
        for (place, byte) in &self.0 {
            let offset = place.checked_sub(address).and_then(|offset| usize::try_from(offset).ok());
            if let Some(target) = offset.and_then(|offset| bytes.get_mut(offset)) {
                *target = *byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::BufferSource;

    #[test]
    fn only_the_flag_of_the_debugger_is_put_back() {
        let mut memory = BufferSource::new();
        assert!(memory.insert(0x1000, vec![9, 9, 7, 9]));
        let process = ProcessFacts { peb: Some(0x1000), peb32: Some(0x5000), ..ProcessFacts::default() };
        let flags = AsBefore::read(&process, &memory);
        for (address, expected) in [(0x1000, [0, 0, 7, 0]), (0x1002, [7, 0, 0, 0]), (0x1003, [0; 4])] {
            let mut bytes = [0; 4];
            flags.put(address, &mut bytes);
            assert_eq!(bytes, expected, "{address:#x}");
        }
    }
}
