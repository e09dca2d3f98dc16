//! Text for terminals. Names in a dump are foreign: none may steer the terminal it is shown on.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// Whether a character must not reach a terminal as it is: control characters of both ranges (ISO 6429), and the
/// characters of Unicode that show nothing but change order, direction or width.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` with everything unsafe written as an escape: `\n`, `\u{1b}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// `value` as one JSON object on one line, safe to print: what JSON itself lets through is written as `\uXXXX`.
pub fn json<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let plain = serde_json::to_string(value)?;
    if !plain.contains(is_unsafe) {
        return Ok(plain);
    }
    let mut safe = String::with_capacity(plain.len() + 64);
    for character in plain.chars() {
        if is_unsafe(character) {
            // Outside of strings JSON holds ASCII only, so this is inside one, where the escape means the same.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").map_err(|_| serde::ser::Error::custom("out of memory"))?;
            }
        } else {
            safe.push(character);
        }
    }
    Ok(safe)
}

/// Writes `text` to the standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Writes one line to standard error: `KIND: SENTENCE`, or the sentence alone when `kind` is empty.
pub fn complain(kind: &str, sentence: &str) {
    let separator = if kind.is_empty() { "" } else { ": " };
    // One write, so that lines of several programs do not mix. A closed standard error leaves nobody to tell.
    let line = format!("{kind}{separator}{}\n", escape(sentence));
    let _ = io::stderr().write_all(line.as_bytes());
}

/// `bytes` in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// `count` with a comma before every third digit from the right.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `count` and its noun, in the plural unless it is one.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_left_alone() {
        let text = "/usr/lib/größe 日本 \\ \"quoted\"";
        assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn control_sequences_lose_their_power() {
        assert_eq!(escape("a\u{1b}[31mb\r\n\t\u{7f}"), "a\\u{1b}[31mb\\r\\n\\t\\u{7f}");
        assert_eq!(escape("\u{9b}2J"), "\\u{9b}2J");
        assert_eq!(escape("exe\u{202e}cod.txt\u{200b}"), "exe\\u{202e}cod.txt\\u{200b}");
    }

    #[test]
    fn json_is_escaped_and_means_the_same() {
        let value = serde_json::json!({"name": "\u{1b}[0m \u{9b}2J \u{202e} \u{7f} \u{e0041} ü"});
        let text = json(&value).unwrap();
        assert!(!text.contains(is_unsafe), "{text:?}");
        assert!(text.contains("\\u009b2J") && text.contains("\\udb40\\udc41") && text.contains('ü'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let expected = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in expected {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(hex(&[0, 0x1f, 0xa0]), "001fa0");
        assert_eq!(counted(1, "thread"), "1 thread");
        assert_eq!(counted(2000, "thread"), "2,000 threads");
    }
}
