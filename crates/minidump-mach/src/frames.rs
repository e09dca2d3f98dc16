//! The return addresses of a thread, by its chain of frame records.

use crate::copied::Copied;
use minidump_snapshot::{AppleFacts, CpuState};

/// Most frames of the blamed thread, as many as have room in what is kept of its stack by default, and of the others. A
/// recursion has few places that it returns to, however deep it is.
pub const MOST_BLAMED: usize = 1 << 16;
pub const MOST_OTHERS: usize = 1 << 10;

/// Whether the innermost function has a frame record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InnermostFrame {
    /// It has.
    Recorded,
    /// It has none: the caller is in the link register, or on top of the stack.
    Frameless,
}

/// The return addresses, without signatures, from the innermost on: what lies in `stacks` of the chain of frame records,
/// `most` at most. A record is {address of the next record, return address}; each lies above the one before.
pub fn return_addresses(
    cpu: &CpuState,
    innermost: InnermostFrame,
    stacks: &Copied,
    facts: &AppleFacts,
    most: usize,
) -> Vec<u64> {
    let mut found = Vec::new();
    let (mut record, caller) = match cpu {
        CpuState::Arm64(state) => (state.fp, Some(state.lr)),
        CpuState::Amd64(state) => {
            let top = (innermost == InnermostFrame::Frameless).then(|| stacks.word(state.rsp)).flatten();
            (state.rbp, top)
        }
        _ => return found,
    };
    found.extend(caller.map(|address| facts.strip(address)));
    let mut lowest = cpu.stack_pointer();
    while found.len() < most {
        record = facts.strip(record);
        if record % 8 != 0 || record < lowest {
            break;
        }
        let next = stacks.word(record);
        let address = record.checked_add(8).and_then(|at| stacks.word(at));
        let (Some(next), Some(address)) = (next, address) else { break };
        found.push(facts.strip(address));
        (lowest, record) = (record.saturating_add(16), next);
    }
    found.retain(|address| *address != 0);
    found
}
