//! Names of dumps: unique without asking anybody, and sorted by time.

use super::clock::{self, Calendar};
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The name of a dump, such as `20261121T164501.123456Z-12345-1a2b3c4d`: when it was begun (UTC, microseconds), the
/// process that writes it, and 32 random bits.
///
/// Names sort by time. The random bits tell apart what processes of the same number (in different pid namespaces)
/// begin at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    when_us: u64,
    pid: u32,
    random: u32,
}

/// The text is not the name of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the name of a dump; one looks like 20261121T164501.123456Z-12345-1a2b3c4d")]
pub struct NotAnId;

impl Id {
    /// A name for something that this process begins at `when_us`.
    pub(super) fn fresh(when_us: u64) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        // Seeded by the operating system; the counter tells apart what one thread asks for.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
        hasher.write_u64(when_us);
        let mixed = hasher.finish();
        let random = u32::try_from((mixed ^ (mixed >> 32)) & u64::from(u32::MAX)).unwrap_or(0);
        Self { when_us: when_us.min(clock::LAST_US), pid: std::process::id(), random }
    }

    /// When the dump was begun, in microseconds since 1970.
    #[must_use]
    pub fn when_us(&self) -> u64 {
        self.when_us
    }

    /// The process that wrote it, as it sees itself. This is not the process that crashed.
    #[must_use]
    pub fn writer_pid(&self) -> u32 {
        self.pid
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Calendar { year, month, day, hour, minute, second, microsecond } = Calendar::of(self.when_us);
        write!(f, "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{microsecond:06}Z")?;
        write!(f, "-{}-{:08x}", self.pid, self.random)
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        // There is one way to write each name: what does not come out as it went in was written in another.
        read(text).filter(|id| id.to_string() == text).ok_or(NotAnId)
    }
}

fn read(text: &str) -> Option<Id> {
    let mut parts = text.split('-');
    let (time, pid, random) = (parts.next()?, parts.next()?, parts.next()?);
    let field = |from, to| time.get(from..to)?.parse::<u64>().ok();
    let calendar = Calendar {
        year: field(0, 4)?,
        month: field(4, 6)?,
        day: field(6, 8)?,
        hour: field(9, 11)?,
        minute: field(11, 13)?,
        second: field(13, 15)?,
        microsecond: field(16, 22)?,
    };
    Some(Id {
        when_us: calendar.us()?,
        pid: pid.parse().ok()?,
        random: u32::from_str_radix(random, 16).ok()?,
    })
}

#[cfg(any(
    all(test, not(windows)),
    all(feature = "client", any(target_os = "linux", target_os = "android"), target_arch = "x86_64")
))]
impl Id {
    /// The name of a dump begun at `when_us` by the process `pid`; `random` tells it apart from others. It allocates
    /// nothing, and neither does writing it.
    pub(crate) fn at(when_us: u64, pid: u32, random: u32) -> Self {
        Self { when_us: when_us.min(clock::LAST_US), pid, random }
    }
}

#[cfg(test)]
impl Id {
    /// A name with chosen parts.
    pub(super) fn of(when_us: u64, pid: u32, random: u32) -> Self {
        Self { when_us, pid, random }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_name_tells_when_and_who() {
        let id = Id::of(1_795_279_501_123_456, 12_345, 0x1a2b_3c4d);
        assert_eq!(id.to_string(), "20261121T164501.123456Z-12345-1a2b3c4d");
        let read: Id = "20261121T164501.123456Z-12345-1a2b3c4d".parse().unwrap();
        assert_eq!((read.when_us(), read.writer_pid()), (1_795_279_501_123_456, 12_345));
    }

    #[test]
    fn what_is_not_exactly_a_name_is_refused() {
        let wrong = [
            "",
            "-",
            "..",
            "../20261121T164501.123456Z-1-1a2b3c4d",
            "20261121T164501.123456Z-1-1a2b3c4d/..",
            "20261121T164501.123456Z-1-1A2B3C4D",
            "20261121T164501.123456Z-01-1a2b3c4d",
            "20261121T164501.123456Z-+1-1a2b3c4d",
            "20261121T164501.123456Z-1-1a2b3c4",
            "20261121T164501.123456Z-1-1a2b3c4d-5",
            "20261121T164501.123456Z-1-1a2b3c4d.dmp",
            "20261121T164501.123456Z-4294967296-1a2b3c4d",
            "20261121T164501.123456-1-1a2b3c4d",
            "20261121t164501.123456z-1-1a2b3c4d",
            "20260229T164501.123456Z-1-1a2b3c4d",
            "20261121T246001.123456Z-1-1a2b3c4d",
            "2026112+T164501.123456Z-1-1a2b3c4d",
            "20261121T164501.12345éZ-1-1a2b3c4d",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Id>(), Err(NotAnId), "{text}");
        }
    }

    #[test]
    fn names_of_one_instant_differ() {
        let names: BTreeSet<Id> = (0..10_000).map(|_| Id::fresh(7)).collect();
        // 32 bits: two of ten thousand meet once in about a hundred runs, four in none.
        assert!(names.len() >= 9_998, "{}", names.len());
    }

    proptest! {
        #[test]
        fn every_name_is_read_as_written(when_us in 0..=clock::LAST_US, pid: u32, random: u32) {
            let id = Id::of(when_us, pid, random);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn names_sort_by_time(a in 0..=clock::LAST_US, b in 0..=clock::LAST_US) {
            let (first, second) = (Id::of(a, 1, 0).to_string(), Id::of(b, 1, 0).to_string());
            prop_assert_eq!(first.cmp(&second), a.cmp(&b));
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,60}") {
            let _ = text.parse::<Id>();
        }
    }
}
