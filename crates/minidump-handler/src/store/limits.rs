//! How much the dump directory may hold.

use std::time::Duration;

/// How much the dump directory may hold, and how often one program may add to it.
///
/// The first three limits are kept by removing dumps ([`Store::prune`](super::Store::prune)), the last two by
/// not taking any. The numbers mean what they say: 0 keeps nothing but the dump just committed, or takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Dumps in `pending` and `completed` together.
    pub count: u64,
    /// Bytes of all dumps and their metadata, by the lengths of the files. Dumps that are being written count, but
    /// only others are removed for them.
    pub bytes: u64,
    /// Time since a dump was begun, after which it is removed.
    pub age: Duration,
    /// Dumps that one program may begin within [`window`](Self::window). More crashes of it are counted and get no
    /// dump. A number above [`Limits::MOST_PER_PROGRAM`] is no limit.
    pub per_program: u32,
    /// The time that [`per_program`](Self::per_program) is about.
    pub window: Duration,
}

impl Limits {
    /// The largest number of dumps of one program within a window that is kept count of.
    pub const MOST_PER_PROGRAM: u32 = 4096;

    /// For a folder that several programs share, and all of whose processes may crash at once, each of which is to have its
    /// dump: 1,000 dumps, 4 GiB, 90 days, and of one program at most 500 dumps within 60 seconds.
    pub const SHARED: Self = Self {
        count: 1000,
        bytes: 4 << 30,
        age: Duration::from_secs(90 * 86_400),
        per_program: 500,
        window: Duration::from_secs(60),
    };

    /// No limits: nothing is removed, no crash is damped.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            count: u64::MAX,
            bytes: u64::MAX,
            age: Duration::MAX,
            per_program: u32::MAX,
            window: Duration::ZERO,
        }
    }

    /// Whether no dump is ever removed.
    pub(super) fn keep_all(&self) -> bool {
        (self.count, self.bytes, self.age) == (u64::MAX, u64::MAX, Duration::MAX)
    }
}

impl Default for Limits {
    /// 100 dumps, 2 GiB, 90 days, and of one program at most 5 dumps within 60 seconds.
    fn default() -> Self {
        Self {
            count: 100,
            bytes: 2 << 30,
            age: Duration::from_secs(90 * 86_400),
            per_program: 5,
            window: Duration::from_secs(60),
        }
    }
}
