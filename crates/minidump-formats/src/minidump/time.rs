//! Conversions from microseconds since 1970 to the format's units.

/// Seconds between 1601-01-01, where FILETIME begins, and 1970-01-01.
const SECONDS_1601_TO_1970: u64 = 11_644_473_600;

/// Microseconds since 1970 as a FILETIME: 100 ns units since 1601-01-01 00:00 UTC.
/// Source: <https://learn.microsoft.com/windows/win32/api/minwinbase/ns-minwinbase-filetime>.
pub(crate) fn filetime(unix_us: u64) -> u64 {
    unix_us.saturating_add(SECONDS_1601_TO_1970 * 1_000_000).saturating_mul(10)
}

/// A duration in microseconds as 100 ns units.
pub(crate) fn ticks(us: u64) -> u64 {
    us.saturating_mul(10)
}

/// Microseconds as whole seconds; `u32::MAX` when they do not fit.
pub(crate) fn seconds(us: u64) -> u32 {
    u32::try_from(us / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unix_epoch_is_the_documented_filetime() {
        assert_eq!(filetime(0), 116_444_736_000_000_000);
        assert_eq!(filetime(1), 116_444_736_000_000_010);
        assert_eq!(filetime(u64::MAX), u64::MAX);
    }

    #[test]
    fn seconds_are_cut_and_clamped() {
        assert_eq!(seconds(1_999_999), 1);
        assert_eq!(seconds(u64::MAX), u32::MAX);
        assert_eq!(ticks(7), 70);
    }
}
