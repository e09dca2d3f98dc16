//! The time zone.
#![expect(unsafe_code, reason = "calls of the system")]

use super::system::text;
use crate::snapshot::TimeZone;
use windows_sys::Win32::Foundation::SYSTEMTIME;
use windows_sys::Win32::System::Time::{GetTimeZoneInformation, TIME_ZONE_INFORMATION};

/// `TIME_ZONE_ID_INVALID`.
const INVALID: u32 = u32::MAX;

/// The present time zone of the machine.
pub fn time_zone() -> Option<TimeZone> {
    let mut zone = TIME_ZONE_INFORMATION::default();
    // SAFETY: the pointer is to a structure of the type that the call writes.
    let id = unsafe { GetTimeZoneInformation(&raw mut zone) };
    (id != INVALID).then(|| decode(id, &zone))
}

fn decode(id: u32, zone: &TIME_ZONE_INFORMATION) -> TimeZone {
    TimeZone {
        id,
        bias: zone.Bias,
        standard_name: text(&zone.StandardName),
        standard_date: date(zone.StandardDate),
        standard_bias: zone.StandardBias,
        daylight_name: text(&zone.DaylightName),
        daylight_date: date(zone.DaylightDate),
        daylight_bias: zone.DaylightBias,
    }
}

/// The fields in the order of the structure.
fn date(date: SYSTEMTIME) -> [u16; 8] {
    [
        date.wYear,
        date.wMonth,
        date.wDayOfWeek,
        date.wDay,
        date.wHour,
        date.wMinute,
        date.wSecond,
        date.wMilliseconds,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_taken_over() {
        let mut zone = TIME_ZONE_INFORMATION {
            Bias: -60,
            StandardDate: SYSTEMTIME {
                wYear: 1,
                wMonth: 10,
                wDayOfWeek: 6,
                wDay: 5,
                wHour: 3,
                wMinute: 4,
                wSecond: 7,
                wMilliseconds: 8,
            },
            StandardBias: 1,
            DaylightDate: SYSTEMTIME { wMonth: 3, ..SYSTEMTIME::default() },
            DaylightBias: -60,
            ..TIME_ZONE_INFORMATION::default()
        };
        for (to, from) in zone.StandardName.iter_mut().zip("Mitteleuropäische Zeit".encode_utf16()) {
            *to = from;
        }
        zone.DaylightName = [u16::from(b'x'); 32];
        let expected = TimeZone {
            id: 2,
            bias: -60,
            standard_name: "Mitteleuropäische Zeit".to_owned(),
            standard_date: [1, 10, 6, 5, 3, 4, 7, 8],
            standard_bias: 1,
            daylight_name: "x".repeat(32),
            daylight_date: [0, 3, 0, 0, 0, 0, 0, 0],
            daylight_bias: -60,
        };
        assert_eq!(decode(2, &zone), expected);
    }

    #[test]
    fn the_machine_has_a_zone_of_this_planet() {
        let zone = time_zone().expect("known");
        assert!(zone.bias.abs() <= 14 * 60 && zone.id <= 2, "{zone:?}");
    }
}
