//! Numbers in text, from foreign bytes.

/// Most digits of a hexadecimal number of 64 bits.
const MOST_DIGITS: usize = 16;
/// Marks a byte that is no hexadecimal digit.
const NO_DIGIT: u8 = 0xff;

/// What each byte is as a hexadecimal digit.
#[expect(
    clippy::indexing_slicing,
    reason = "the compiler makes this table: an index out of bounds would not compile"
)]
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 10 {
        digits[(b'0' + value) as usize] = value;
        value += 1;
    }
    while value < 16 {
        digits[(b'a' + value - 10) as usize] = value;
        digits[(b'A' + value - 10) as usize] = value;
        value += 1;
    }
    digits
};

/// A hexadecimal number of at most 16 digits at the start of `rest` and the `terminator` behind it, which `rest` is
/// moved behind.
#[inline]
pub fn hexadecimal(rest: &mut &[u8], terminator: u8) -> Option<u64> {
    // A bound that the compiler knows spares a comparison for each of the forty digits of a line.
    let (value, digits) = match rest.first_chunk::<MOST_DIGITS>() {
        Some(text) => leading_digits(text),
        None => leading_digits(rest),
    };
    let (end, tail) = rest.get(digits..).filter(|_| digits > 0)?.split_first()?;
    if *end != terminator {
        return None;
    }
    *rest = tail;
    Some(value)
}

/// The value of the hexadecimal digits at the start of `text`, and how many there are.
#[inline]
fn leading_digits(text: &[u8]) -> (u64, usize) {
    let mut value = 0u64;
    for (index, byte) in text.iter().enumerate().take(MOST_DIGITS) {
        match DIGITS.get(usize::from(*byte)) {
            Some(digit) if *digit != NO_DIGIT => value = value << 4 | u64::from(*digit),
            _ => return (value, index),
        }
    }
    (value, text.len().min(MOST_DIGITS))
}

/// A decimal number at the start of `rest`, which is moved behind it.
pub fn decimal(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    let mut digits = 0;
    for byte in *rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.checked_mul(10)?.checked_add(digit.into())?;
        digits += 1;
    }
    *rest = rest.get(digits..).filter(|_| digits > 0)?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8]) -> Option<(u64, &[u8])> {
        let mut rest = text;
        hexadecimal(&mut rest, b'-').map(|value| (value, rest))
    }

    #[test]
    fn hexadecimal_numbers_of_every_length_are_read() {
        for length in 1..=16 {
            let digits = "9afe01234bcd5678".get(..length).unwrap();
            let expected = u64::from_str_radix(digits, 16).unwrap();
            for text in [format!("{digits}-"), format!("{}-rest of the line", digits.to_uppercase())] {
                let rest = text.as_bytes().get(length + 1..).unwrap();
                assert_eq!(read(text.as_bytes()), Some((expected, rest)), "{text}");
            }
        }
        assert_eq!(read(b"000000000000001f-"), Some((0x1f, b"".as_slice())));
    }

    #[test]
    fn every_byte_is_a_digit_or_not_as_the_standard_library_says() {
        for byte in 0..=u8::MAX {
            let expected = char::from(byte).to_digit(16).map(u64::from);
            assert_eq!(read(&[byte, b'-']).map(|(value, _)| value), expected, "{byte:#x}");
            let behind = expected.map(|digit| 0x1_2345_6780 | digit);
            let text = [b"12345678".as_slice(), &[byte], b"-"].concat();
            assert_eq!(read(&text).map(|(value, _)| value), behind.or((byte == b'-').then_some(0x1234_5678)));
        }
    }

    #[test]
    fn what_is_no_number_of_64_bits_is_none() {
        for text in
            ["", "-", "g-", "12", "12 ", "1ffffffffffffffff-", "00000000000000001-", "12345678", "1234567 -"]
        {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decimal_numbers_end_where_their_digits_do() {
        let read = |text: &'static str| {
            let mut rest = text.as_bytes();
            decimal(&mut rest).map(|value| (value, rest))
        };
        assert_eq!(read("0 x"), Some((0, b" x".as_slice())));
        assert_eq!(read("18446744073709551615"), Some((u64::MAX, b"".as_slice())));
        assert_eq!(read("12a"), Some((12, b"a".as_slice())));
        for none in ["18446744073709551616", "", " 1"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn numbers_that_were_written_are_read(value in any::<u64>(), width in 0usize..17) {
            let text = format!("{value:0width$x}-7");
            prop_assert_eq!(read(text.as_bytes()), Some((value, b"7".as_slice())));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
            let _ = decimal(&mut bytes.as_slice());
        }
    }
}
