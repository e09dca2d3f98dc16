//! Time as the names of dumps tell it: microseconds since 1970 and the UTC calendar.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const US_PER_SECOND: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59.999999Z, the last time that a year of four digits can tell.
pub(super) const LAST_US: u64 = 253_402_300_800 * US_PER_SECOND - 1;
/// 2020-01-01: a clock that shows less has not been set since the machine started.
pub(super) const FIRST_PLAUSIBLE_US: u64 = 1_577_836_800 * US_PER_SECOND;

/// Microseconds since 1970.
pub(super) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, in_us).min(LAST_US)
}

/// A duration in whole microseconds, the largest number where it does not fit.
pub(super) fn in_us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A time of the UTC calendar; months and days from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Calendar {
    pub year: u64,
    pub month: u64,
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
    pub microsecond: u64,
}

impl Calendar {
    /// What the calendar shows; times past [`LAST_US`] show that.
    pub(super) fn of(us: u64) -> Self {
        let us = us.min(LAST_US);
        let (seconds, microsecond) = (us / US_PER_SECOND, us % US_PER_SECOND);
        let (mut days, second_of_day) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
        // A guess that is never too late; a few steps of a year lead to the right one.
        let mut year = 1970 + days / 366;
        while days_before(year + 1) <= days {
            year += 1;
        }
        days -= days_before(year);
        let mut month = 1;
        for length in months_of(year) {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        Self { year, month, day: days + 1, hour, minute, second, microsecond }
    }

    /// Microseconds since 1970; `None` for what is no time between then and [`LAST_US`].
    pub(super) fn us(&self) -> Option<u64> {
        if !(1970..=9999).contains(&self.year) || self.hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let months = months_of(self.year);
        let before = usize::try_from(self.month.checked_sub(1)?).ok()?;
        if self.day == 0 || self.day > *months.get(before)? || self.microsecond >= US_PER_SECOND {
            return None;
        }
        let days = days_before(self.year) + months.iter().take(before).sum::<u64>() + self.day - 1;
        let seconds = days * SECONDS_PER_DAY + self.hour * 3600 + self.minute * 60 + self.second;
        Some(seconds * US_PER_SECOND + self.microsecond)
    }
}

/// Days from 1970-01-01 to the first of January of a year from 1970 on.
fn days_before(year: u64) -> u64 {
    let leaps = |last: u64| last / 4 - last / 100 + last / 400;
    365 * (year - 1970) + leaps(year - 1) - leaps(1969)
}

fn months_of(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(year: u64, month: u64, day: u64, second_of_day: u64) -> Calendar {
        let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        Calendar { year, month, day, hour, minute, second, microsecond: 0 }
    }

    /// The numbers are those of `date -u -d … +%s`.
    #[test]
    fn known_times_are_told_both_ways() {
        let known = [
            (at(1970, 1, 1, 0), 0),
            (at(1972, 2, 29, 0), 68_169_600),
            (at(2000, 2, 29, 86_399), 951_868_799),
            (at(2020, 1, 1, 0), 1_577_836_800),
            (at(2026, 11, 21, 60_301), 1_795_279_501),
            (at(2100, 3, 1, 0), 4_107_542_400),
            (at(9999, 12, 31, 86_399), 253_402_300_799),
        ];
        for (calendar, seconds) in known {
            assert_eq!(calendar.us(), Some(seconds * US_PER_SECOND), "{calendar:?}");
            assert_eq!(Calendar::of(seconds * US_PER_SECOND), calendar);
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        let wrong = [
            at(1969, 12, 31, 0),
            at(10_000, 1, 1, 0),
            at(2026, 0, 1, 0),
            at(2026, 13, 1, 0),
            at(2026, 2, 29, 0),
            at(2100, 2, 29, 0),
            at(2026, 4, 31, 0),
            at(2026, 1, 0, 0),
            at(2026, 1, 1, 86_400),
        ];
        for calendar in wrong {
            assert_eq!(calendar.us(), None, "{calendar:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_told_both_ways(us in 0..=LAST_US) {
            prop_assert_eq!(Calendar::of(us).us(), Some(us));
        }
    }
}
