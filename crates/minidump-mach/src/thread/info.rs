use crate::bytes::{bytes_of, pair, until_zero};
use crate::{KernReturn, MachTask, ThreadFlavor, ThreadPort};
use minidump_snapshot::ThreadTimes;

/// `thread_identifier_info` (mach/thread_info.h).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    pub id: u64,
    pub handle: u64,
    /// Address of the pointer to the dispatch queue that the thread works for; 0 without one.
    pub queue_address: u64,
}

/// `thread_extended_info`, as far as it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extended {
    pub times: ThreadTimes,
    pub priority: i32,
    pub name: Vec<u8>,
}

/// `thread_basic_info`, as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Basic {
    pub run_state: Option<char>,
    pub suspend_count: u32,
}

/// Who the thread is.
pub fn identity(task: &dyn MachTask, port: ThreadPort) -> Result<Identity, KernReturn> {
    read(task, port, ThreadFlavor::Identifier, &mut [0; 6], Identity::decode)
}

/// Name, times and priority.
pub fn extended(task: &dyn MachTask, port: ThreadPort) -> Result<Extended, KernReturn> {
    read(task, port, ThreadFlavor::Extended, &mut [0; 28], Extended::decode)
}

/// State and suspend count.
pub fn basic(task: &dyn MachTask, port: ThreadPort) -> Result<Basic, KernReturn> {
    read(task, port, ThreadFlavor::Basic, &mut [0; 10], Basic::decode)
}

fn read<T>(
    task: &dyn MachTask,
    port: ThreadPort,
    flavor: ThreadFlavor,
    words: &mut [u32],
    decode: impl FnOnce(&[u32]) -> Option<T>,
) -> Result<T, KernReturn> {
    let count = task.thread_info(port, flavor, words)?;
    words.get(..count).and_then(decode).ok_or(KernReturn::FAILURE)
}

impl Identity {
    fn decode(words: &[u32]) -> Option<Self> {
        let field = |index: usize| pair(words, index);
        let id = field(0).filter(|id| *id != 0)?;
        Some(Self { id, handle: field(2).unwrap_or_default(), queue_address: field(4).unwrap_or_default() })
    }
}

impl Extended {
    fn decode(words: &[u32]) -> Option<Self> {
        let microseconds = |index: usize| pair(words, index).map(|nanoseconds| nanoseconds / 1000);
        let name: Vec<u8> = bytes_of(words.get(12..28)?).collect();
        let times = ThreadTimes { start_us: 0, user_us: microseconds(0)?, kernel_us: microseconds(2)? };
        Some(Self { times, priority: words.get(9)?.cast_signed(), name: until_zero(&name).to_vec() })
    }
}

impl Basic {
    fn decode(words: &[u32]) -> Option<Self> {
        let run_state = match words.get(6)? {
            1 => Some('R'),
            2 => Some('T'),
            3 => Some('S'),
            4 => Some('D'),
            5 => Some('H'),
            _ => None,
        };
        Some(Self { run_state, suspend_count: *words.get(8)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::tests::words_with;

    #[test]
    fn an_identity_is_three_numbers() {
        let fields: [(usize, &[u8]); 3] = [
            (0, &0x1_0000_1001_u64.to_le_bytes()),
            (8, &0x1_7000_00e0_u64.to_le_bytes()),
            (16, &0x1_7000_0180_u64.to_le_bytes()),
        ];
        let words = words_with(24, &fields);
        let expected = Identity { id: 0x1_0000_1001, handle: 0x1_7000_00e0, queue_address: 0x1_7000_0180 };
        assert_eq!(Identity::decode(&words), Some(expected));
        assert_eq!(Identity::decode(&words[..1]), None);
        assert_eq!(Identity::decode(&[0; 6]), None, "no thread has this id");
    }

    #[test]
    fn the_name_lies_behind_times_and_priorities() {
        let fields: [(usize, &[u8]); 8] = [
            (0, &5_000_999_u64.to_le_bytes()),
            (8, &7_000_000_u64.to_le_bytes()),
            (24, &3_u32.to_le_bytes()),
            (36, &(-5_i32).to_le_bytes()),
            (40, &31_u32.to_le_bytes()),
            (44, &63_u32.to_le_bytes()),
            (48, b"com.apple.main"),
            (63, b"\0rest"),
        ];
        let words = words_with(112, &fields);
        let found = Extended::decode(&words).unwrap();
        assert_eq!(found.times, ThreadTimes { start_us: 0, user_us: 5000, kernel_us: 7000 });
        assert_eq!((found.priority, found.name.as_slice()), (-5, &b"com.apple.main"[..]));
        assert_eq!(Extended::decode(&words[..27]), None);
    }

    #[test]
    fn state_and_suspend_count_lie_behind_the_times() {
        for (state, letter) in
            [(1, Some('R')), (2, Some('T')), (3, Some('S')), (4, Some('D')), (5, Some('H')), (6, None)]
        {
            let words = words_with(40, &[(24, &[state]), (32, &[2])]);
            assert_eq!(Basic::decode(&words), Some(Basic { run_state: letter, suspend_count: 2 }));
        }
        assert_eq!(Basic::decode(&[0; 8]), None);
    }
}
