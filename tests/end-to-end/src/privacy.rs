//! What a dump must not tell.

use crate::Dump;
use crate::extended::word64;
use crate::target::{number, parked, pattern};
use serde_json::Value;

/// What takes the place of a word that is not kept (Breakpad, `src/client/linux/minidump_writer/linux_dumper.cc`).
const MARKER: u64 = 0x0def_aced_0def_aced;

/// Fails unless of the stack of `crasher secrets`, which told these facts, there is what unwinding needs and nothing else.
#[track_caller]
pub fn assert_sanitised(dump: &Dump, facts: &Value) {
    let word = |address| word64(&dump.memory(address, 8).expect("the stack is in the dump"), 0);
    for fact in facts["words"].as_array().unwrap() {
        let name = fact["name"].as_str().unwrap();
        let (address, value) = (number(fact, "address"), number(fact, "value"));
        let expected = match name {
            "stack" | "code" | "data" | "one" | "limit" | "minus" | "minus_limit" => value,
            "heap" | "large" | "minus_large" => MARKER,
            other => panic!("what is {other}?"),
        };
        assert_eq!(word(address), expected, "{name} was {value:#x}");
    }
    let (text, secret) = pattern(&facts["text"]);
    for address in (text..).step_by(8).take(secret.len() / 8) {
        assert_eq!(word(address), MARKER);
    }
    for (function, address, bytes) in &parked(facts)[0].frames {
        for address in (*address..).step_by(8).take(bytes.len() / 8) {
            assert_eq!(word(address), MARKER, "a word of {function} that is no pointer");
        }
    }
}

/// Whether `needle` is anywhere in `haystack`.
pub fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
