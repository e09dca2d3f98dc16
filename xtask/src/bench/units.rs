//! Numbers for people.

/// A time in µs with three digits that matter, in the unit that fits.
pub fn time(us: u64) -> String {
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", three_digits(us, 1_000)),
        1_000_000.. => format!("{} s", three_digits(us, 1_000_000)),
    }
}

/// The same without digits behind the decimal point that are 0.
pub fn round_time(us: u64) -> String {
    let time = time(us);
    match time.split_once(".0") {
        Some((whole, rest)) if rest.trim_start_matches('0').starts_with(' ') => {
            format!("{whole}{}", rest.trim_start_matches('0'))
        }
        _ => time,
    }
}

/// Bytes as KiB or MiB.
pub fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match bytes {
        ..MIB => format!("{} KiB", bytes >> 10),
        MIB..GIB => format!("{} MiB", three_digits(bytes, MIB)),
        GIB.. => format!("{} GiB", three_digits(bytes, GIB)),
    }
}

/// `number / unit` with three digits, and with more only before the decimal point.
fn three_digits(number: u64, unit: u64) -> String {
    let decimals = match number / unit {
        ..10 => 2,
        10..100 => 1,
        100.. => 0,
    };
    let scale = 10_u64.pow(decimals);
    let scaled = number.saturating_mul(scale).saturating_add(unit / 2) / unit;
    match decimals {
        0 => scaled.to_string(),
        1 => format!("{}.{}", scaled / scale, scaled % scale),
        _ => format!("{}.{:02}", scaled / scale, scaled % scale),
    }
}

/// A whole number with its thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{count, round_time, size, time};

    #[test]
    fn three_digits_matter() {
        assert_eq!([7, 999].map(time), ["7 µs", "999 µs"]);
        assert_eq!([1_000, 12_345, 678_912].map(time), ["1.00 ms", "12.3 ms", "679 ms"]);
        assert_eq!([1_050_000, 99_960_000].map(time), ["1.05 s", "100.0 s"]);
        assert_eq!([1_000, 10_000, 1_050].map(round_time), ["1 ms", "10 ms", "1.05 ms"]);
        assert_eq!([4_096, 3 << 20, 4 << 30].map(size), ["4 KiB", "3.00 MiB", "4.00 GiB"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
