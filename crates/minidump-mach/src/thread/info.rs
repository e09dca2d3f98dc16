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
    let mut words = [0; 6];
    let count = task.thread_info(port, ThreadFlavor::Identifier, &mut words)?;
    let words = words.get(..count).unwrap_or_default();
    let field = |index: usize| pair(words, index);
    let id = field(0).filter(|id| *id != 0).ok_or(KernReturn::FAILURE)?;
    Ok(Identity { id, handle: field(2).unwrap_or_default(), queue_address: field(4).unwrap_or_default() })
}

/// Name, times and priority.
pub fn extended(task: &dyn MachTask, port: ThreadPort) -> Result<Extended, KernReturn> {
    let mut words = [0; 28];
    let count = task.thread_info(port, ThreadFlavor::Extended, &mut words)?;
    let words = words.get(..count).unwrap_or_default();
    let time = |index: usize| pair(words, index).map(|nanoseconds| nanoseconds / 1000);
    let name: Vec<u8> = bytes_of(words.get(12..).ok_or(KernReturn::FAILURE)?).collect();
    Ok(Extended {
        times: ThreadTimes {
            start_us: 0,
            user_us: time(0).unwrap_or_default(),
            kernel_us: time(2).unwrap_or_default(),
        },
        priority: words.get(9).copied().unwrap_or_default().cast_signed(),
        name: until_zero(&name).to_vec(),
    })
}

/// State and suspend count.
pub fn basic(task: &dyn MachTask, port: ThreadPort) -> Result<Basic, KernReturn> {
    let mut words = [0; 10];
    let count = task.thread_info(port, ThreadFlavor::Basic, &mut words)?;
    let words = words.get(..count).unwrap_or_default();
    let run_state = match words.get(6) {
        Some(1) => Some('R'),
        Some(2) => Some('T'),
        Some(3) => Some('S'),
        Some(4) => Some('D'),
        Some(5) => Some('H'),
        _ => None,
    };
    let suspend_count = words.get(8).copied().ok_or(KernReturn::FAILURE)?;
    Ok(Basic { run_state, suspend_count })
}
