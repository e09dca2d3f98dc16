use super::redact_environ;
use crate::EnvironmentBlock;
use std::ops::Range;

/// What a hidden code unit reads as.
const HIDDEN: u16 = 0x2a;

/// Any character that is not ASCII, in the place of which the rules for names and values see this byte: no text has it.
const FOREIGN: u8 = 0xff;

/// An environment of Windows in which secrets are hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedactedWide {
    /// The text, as long as it was, with `*` for each code unit of a secret.
    pub text: Vec<u16>,
    /// Where the secrets lie in the target's memory, by ascending address.
    pub addresses: Vec<Range<u64>>,
}

/// Hides secrets in an environment of Windows: `NAME=value` entries in UTF-16, each with a zero behind it. What is a secret
/// is what is one for [`redact_environ`]; entries such as `=C:=C:\x`, with which the command prompt remembers directories,
/// have no name and stay.
#[must_use]
pub fn redact_wide_environ(environ: &EnvironmentBlock) -> RedactedWide {
    // One byte for one unit, so that places are the same in both.
    let narrow = |unit: &u16| u8::try_from(*unit).ok().filter(u8::is_ascii).unwrap_or(FOREIGN);
    let narrowed: Vec<u8> = environ.text.iter().map(narrow).collect();
    let secrets = redact_environ(&narrowed).secrets;
    let mut text = environ.text.clone();
    for secret in &secrets {
        text.get_mut(secret.clone()).unwrap_or_default().fill(HIDDEN);
    }
    let at = |unit: usize| environ.address.saturating_add((unit as u64).saturating_mul(2));
    let addresses = secrets.iter().map(|secret| at(secret.start)..at(secret.end)).collect();
    RedactedWide { text, addresses }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(text: &str) -> EnvironmentBlock {
        EnvironmentBlock { address: 0x1000, text: text.encode_utf16().collect() }
    }

    fn text_of(text: &str) -> String {
        String::from_utf16(&redact_wide_environ(&block(text)).text).unwrap()
    }

    #[test]
    fn secrets_are_hidden_where_they_lie_and_all_else_stays() {
        let redacted = redact_wide_environ(&block("Path=C:\\x\0DB_PASSWORD=hunter2\0API_KEY=\0Token=äb\0\0"));
        let expected = "Path=C:\\x\0DB_PASSWORD=*******\0API_KEY=\0Token=**\0\0";
        assert_eq!(String::from_utf16(&redacted.text).unwrap(), expected);
        assert_eq!(redacted.addresses, [0x102c..0x103a, 0x105a..0x105e]);
    }

    #[test]
    fn the_rules_are_those_of_other_systems() {
        for (environ, expected) in [
            ("DATABASE_URL=postgres://app:hunter2@db/x\0", "DATABASE_URL=postgres://app:*******@db/x\0"),
            ("STORE=Name=n;AccountKey=abc==;Suffix=s\0", "STORE=Name=n;AccountKey=*****;Suffix=s\0"),
            ("MONKEY=banana\0", "MONKEY=banana\0"),
            ("=C:=C:\\secret\0=ExitCode=00000000\0", "=C:=C:\\secret\0=ExitCode=00000000\0"),
        ] {
            assert_eq!(text_of(environ), expected);
        }
    }

    #[test]
    fn half_of_a_character_is_a_unit_like_any_other() {
        let text = [b'P', b'W', b'D', b'_', b'K', b'E', b'Y', b'=', b'a'].map(u16::from);
        let environ =
            EnvironmentBlock { address: u64::MAX - 1, text: [text.as_slice(), &[0xd800, 0]].concat() };
        let redacted = redact_wide_environ(&environ);
        assert_eq!(redacted.text[8..], [0x2a, 0x2a, 0]);
        assert_eq!(redacted.addresses.first().map(|range| range.end), Some(u64::MAX), "no address wraps");
    }

    proptest! {
        #[test]
        fn ascii_is_hidden_as_it_is_in_bytes(
            environ in prop::collection::vec(prop::sample::select(b"=:/@\0KEYPASSURL_;?& ab".to_vec()), 0..200),
        ) {
            let narrow = redact_environ(&environ);
            let text = environ.iter().map(|byte| u16::from(*byte)).collect();
            let wide = redact_wide_environ(&EnvironmentBlock { address: 0, text });
            prop_assert!(wide.text.iter().copied().eq(narrow.text.iter().map(|byte| u16::from(*byte))));
            let doubled = |secret: &Range<usize>| 2 * secret.start as u64..2 * secret.end as u64;
            prop_assert!(wide.addresses.into_iter().eq(narrow.secrets.iter().map(doubled)));
        }

        #[test]
        fn any_text_keeps_its_length(text in prop::collection::vec(any::<u16>(), 0..200), address in any::<u64>()) {
            let environ = EnvironmentBlock { address, text };
            prop_assert_eq!(redact_wide_environ(&environ).text.len(), environ.text.len());
        }
    }
}
