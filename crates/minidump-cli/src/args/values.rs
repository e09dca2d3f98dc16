//! The values of options: ids, times, sizes, addresses.

use minidump_writer::Pid;
use std::time::Duration;

/// Longest deadline that makes sense, so that no sum of times overflows.
const LONGEST_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// How one finds the id of a process, and those of its threads.
const FIND_PROCESS: &str = if cfg!(windows) { "tasklist shows" } else { "ps or pgrep shows" };
const FIND_PROGRAM: &str =
    if cfg!(windows) { "tasklist shows those of all programs" } else { "pgrep NAME finds that of a program" };
const FIND_THREADS: &str = if cfg!(windows) { "a debugger lists them" } else { "ps -T -p PID lists them" };

pub fn parse_pid(text: &str) -> Result<Pid, String> {
    match text.parse::<i64>() {
        Ok(0) => Err(format!("0 is no process; give the id that {FIND_PROCESS}")),
        Ok(number) if number < 0 => Err(format!("a process id is positive; give the id that {FIND_PROCESS}")),
        Ok(number) => Pid::try_from(number).map_err(|_| "no process has so large an id".into()),
        Err(_) if is_digits(text) => Err("no process has so large an id".into()),
        Err(_) => Err(format!("a process id is a number; {FIND_PROGRAM}")),
    }
}

pub fn parse_tid(text: &str) -> Result<u32, String> {
    match text.parse::<Pid>() {
        Ok(number) if number > 0 => Ok(number.unsigned_abs()),
        _ => Err(format!("a thread id is a positive number; {FIND_THREADS}")),
    }
}

/// Parses `500ms`, `5s`, `1.5s` or `2` (seconds).
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let wrong = || "a time looks like 500ms, 5s or 2".to_string();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = decimal(number).ok_or_else(wrong)?;
    let time = Duration::try_from_secs_f64(seconds * unit).unwrap_or(Duration::MAX);
    match time {
        Duration::ZERO => Err("the time must be longer than 0".into()),
        _ if time > LONGEST_DEADLINE => Err("the time must not be longer than a day".into()),
        _ => Ok(time),
    }
}

/// Parses `64K`, `2M`, `1.5G`, `4096` or `0x1000` into bytes. The units are powers of 1,024; `KB` and `KiB` mean `K`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let size = match hexadecimal(text) {
        Some(size) => Some(size),
        None => scaled(text),
    };
    match size {
        None => Err("a size looks like 64K, 2M, 1.5G or 4096".into()),
        Some(0) => Err("the size must be more than 0".into()),
        Some(size) => Ok(size),
    }
}

/// The bytes of a number with a unit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the product is a positive number below 2^63; sizes of that order need no last digit"
)]
fn scaled(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let short = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (number, shift) = match short.char_indices().last()? {
        (at, unit @ ('k' | 'm' | 'g' | 't')) => (short.get(..at)?, unit_shift(unit)),
        // `5B` is bytes, `5iB` is nothing.
        _ if lower.ends_with("ib") => return None,
        _ => (short, 0),
    };
    if is_digits(number) {
        let whole: u64 = number.parse().ok()?;
        return whole.checked_mul(1 << shift).filter(|size| i64::try_from(*size).is_ok());
    }
    let size = (decimal(number)? * (1u64 << shift) as f64).round();
    (size < i64::MAX as f64).then_some(size as u64)
}

fn unit_shift(unit: char) -> u32 {
    match unit {
        'k' => 10,
        'm' => 20,
        'g' => 30,
        _ => 40,
    }
}

/// Parses an address: hexadecimal with `0x`, or decimal.
pub fn parse_address(text: &str) -> Result<u64, String> {
    hexadecimal(text)
        .or_else(|| if is_digits(text) { text.parse().ok() } else { None })
        .ok_or_else(|| "an address looks like 0x7f0012345678".into())
}

/// Parses `ADDR:SIZE` into the first address and the size in bytes.
pub fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let (address, size) =
        text.split_once(':').ok_or("a range looks like 0x7f0012345678:4K, an address and a size")?;
    let (address, size) = (parse_address(address)?, parse_size(size)?);
    if address.checked_add(size).is_none() {
        return Err("the range reaches beyond the end of the address space".into());
    }
    Ok((address, size))
}

/// Parses `KEY=VALUE`. The value may be empty and may hold further signs of equality.
pub fn parse_annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the key before = is empty; an annotation looks like KEY=VALUE".into()),
        Some((key, value)) => Ok((key.into(), value.into())),
        None => Err("an annotation looks like KEY=VALUE".into()),
    }
}

fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    // The standard library would take a sign here.
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// A number of digits with at most one point, which is not the first character.
fn decimal(text: &str) -> Option<f64> {
    let starts = text.starts_with(|first: char| first.is_ascii_digit());
    (starts && is_digits(&text.replacen('.', "0", 1))).then(|| text.parse().ok())?
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_ids_fit_the_system() {
        assert_eq!(parse_pid("2147483647"), Ok(Pid::MAX));
        assert!(parse_pid("2147483648").unwrap_err().contains("so large"));
    }

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in
            [("500ms", 500), ("5s", 5000), ("2", 2000), ("1.5s", 1500), ("0.25", 250), ("3.", 3000)]
        {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "s", "ms", "-1", "+1", "1e3", "inf", "nan", "5m", "5 s", ".5", "1.2.3", "0", "0ms", "9e99"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
        assert!(parse_time("86401").unwrap_err().contains("a day"));
        assert!(parse_time(&"9".repeat(400)).unwrap_err().contains("a day"));
    }

    #[test]
    fn thread_ids_are_positive_numbers() {
        assert_eq!(parse_tid("7"), Ok(7));
        for text in ["0", "-7", "main", ""] {
            assert!(parse_tid(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("1", 1),
            ("4096", 4096),
            ("7B", 7),
            ("0x1000", 4096),
            ("64K", 64 << 10),
            ("64k", 64 << 10),
            ("64KB", 64 << 10),
            ("64KiB", 64 << 10),
            ("2M", 2 << 20),
            ("1.5G", 3 << 29),
            ("0.5k", 512),
            ("2T", 2 << 40),
            ("9007199254740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "K",
            "B",
            "iB",
            "5iB",
            "-1",
            "+1",
            "1e3",
            "0x",
            "0x+1",
            "2MM",
            "2 M",
            ".5M",
            "1.2.3K",
            "inf",
            "1Q",
            "0",
            "0K",
            "9999999T",
            "18446744073709551616",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_are_hexadecimal_or_decimal() {
        assert_eq!(parse_address("0x7fFf00"), Ok(0x7f_ff00));
        assert_eq!(parse_address("4096"), Ok(4096));
        assert_eq!(parse_address("0xffffffffffffffff"), Ok(u64::MAX));
        for text in ["", "0x", "7fff", "-1", "+1", "0x-1", "0x10000000000000000", "main"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_lie_in_the_address_space() {
        assert_eq!(parse_range("0x1000:4K"), Ok((0x1000, 4096)));
        assert_eq!(parse_range("4096:0x10"), Ok((4096, 16)));
        for text in ["0x1000", "0x1000:", ":4K", "0x1000:0", "0x1000-0x2000", "0xffffffffffffffff:2"] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn annotations_have_a_key_and_a_value() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(parse_annotation("version=1.2"), pair("version", "1.2"));
        assert_eq!(parse_annotation("query=a=b"), pair("query", "a=b"));
        assert_eq!(parse_annotation("empty="), pair("empty", ""));
        for text in ["", "=", "=x", "version"] {
            assert!(parse_annotation(text).unwrap_err().contains("KEY=VALUE"), "{text}");
        }
    }
}
