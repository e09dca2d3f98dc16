use crate::{KernReturn, ThreadPort};

/// A call of [`MachTask`](crate::MachTask).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of the methods")]
pub enum Call {
    Read,
    Region,
    Threads,
    ThreadState,
    ThreadInfo,
    TaskInfo,
    Suspend,
    Resume,
    SuspendThread,
    ResumeThread,
    Pid,
    Sysctl,
    ProcessFacts,
}

/// Which calls a fault concerns. Calls are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// All.
    Always,
    /// This one alone.
    Nth(u64),
    /// This and all later ones.
    From(u64),
    /// Those about this thread.
    Thread(ThreadPort),
    /// Those of this flavor.
    Flavor(u32),
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The call fails.
    Fail(KernReturn),
    /// The call gives at most so many bytes, words or ports, and says so.
    Short(usize),
    /// This thread ends just before the call.
    ThreadEnds(ThreadPort),
    /// The memory from the first address up to the second goes away just before the call.
    Unmap(u64, u64),
    /// These bytes are written to the address just before the call.
    Write(u64, [u8; 16]),
    /// `region` gives what it gave the time before, without looking further.
    Stuck,
    /// `region` gives a region without any bytes.
    Empty,
}

/// A fault to be injected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub call: Call,
    pub when: When,
    pub effect: Effect,
}

impl Fault {
    /// Whether this concerns the `nth` such call, about `thread`, of `flavor`.
    pub fn concerns(&self, call: Call, nth: u64, thread: Option<ThreadPort>, flavor: Option<u32>) -> bool {
        self.call == call
            && match self.when {
                When::Always => true,
                When::Nth(only) => nth == only,
                When::From(first) => nth >= first,
                When::Thread(port) => thread == Some(port),
                When::Flavor(asked) => flavor == Some(asked),
            }
    }
}
