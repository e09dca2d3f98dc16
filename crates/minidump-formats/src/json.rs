//! A writer of JSON, without blanks and with the escapes that `serde_json` chooses.
//!
//! It takes the place of `serde_json`, whose numbers can be compared with those of Rust: programs above us that leave the type of
//! such a number to the compiler would not compile any more (`minidumper` 0.11 is one).

use std::io::Write;

/// What has a form in JSON.
pub(crate) trait Json {
    /// Appends it to `to`.
    fn write(&self, to: &mut Vec<u8>);
}

/// `value` as a text.
pub(crate) fn text(value: &impl Json) -> Vec<u8> {
    let mut text = Vec::new();
    value.write(&mut text);
    text
}

/// An object in the making. The order of the fields, and that no two have the same name, is up to the caller.
#[derive(Debug, Default)]
pub(crate) struct Object {
    /// What stands between the braces.
    fields: Vec<u8>,
}

impl Object {
    /// Adds a field; `None` is null.
    pub(crate) fn field(mut self, name: &str, value: impl Json) -> Self {
        if !self.fields.is_empty() {
            self.fields.push(b',');
        }
        name.write(&mut self.fields);
        self.fields.push(b':');
        value.write(&mut self.fields);
        self
    }

    /// Adds a field where its value is known.
    pub(crate) fn known(self, name: &str, value: Option<impl Json>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }
}

impl Json for Object {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(b'{');
        to.extend_from_slice(&self.fields);
        to.push(b'}');
    }
}

impl Json for str {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(b'"');
        for byte in self.bytes() {
            push_escaped(byte, to);
        }
        to.push(b'"');
    }
}

/// All that has to be escaped is ASCII, so the bytes of other characters stay together.
fn push_escaped(byte: u8, to: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        // A Vec takes everything.
        0..0x20 => return write!(to, "\\u{byte:04x}").unwrap_or_default(),
        _ => return to.push(byte),
    };
    to.extend([b'\\', letter]);
}

impl<T: Json> Json for [T] {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(b'[');
        for (index, value) in self.iter().enumerate() {
            if index > 0 {
                to.push(b',');
            }
            value.write(to);
        }
        to.push(b']');
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, to: &mut Vec<u8>) {
        self.as_slice().write(to);
    }
}

impl<T: Json, const N: usize> Json for [T; N] {
    fn write(&self, to: &mut Vec<u8>) {
        self.as_slice().write(to);
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(to),
            None => to.extend_from_slice(b"null"),
        }
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn write(&self, to: &mut Vec<u8>) {
        (*self).write(to);
    }
}

/// For what Rust prints as JSON has it.
macro_rules! as_printed {
    ($($kind:ty),*) => {
        $(impl Json for $kind {
            fn write(&self, to: &mut Vec<u8>) {
                // A Vec takes everything.
                write!(to, "{self}").unwrap_or_default();
            }
        })*
    };
}

as_printed!(bool, u8, u32, u64, i32);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use serde::Serialize;

    /// The same text as that of `serde_json`.
    fn check(value: &(impl Json + Serialize)) -> Result<(), TestCaseError> {
        prop_assert_eq!(text(value), serde_json::to_vec(value).unwrap());
        Ok(())
    }

    #[test]
    fn every_character_of_ascii_is_escaped_as_it_should_be() {
        let ascii: String = (0..=0x7f_u8).map(char::from).collect();
        check(&ascii.as_str()).unwrap();
        assert_eq!(text(&"\u{1}\"\n\u{7f}\u{2028}ü"), "\"\\u0001\\\"\\n\u{7f}\u{2028}ü\"".as_bytes());
    }

    #[test]
    fn nothing_has_a_form_too() {
        assert_eq!(text(&Object::default()), b"{}");
        assert_eq!(text(&Vec::<u8>::new()), b"[]");
        assert_eq!(text(&""), b"\"\"");
        assert_eq!(text(&None::<bool>), b"null");
    }

    #[test]
    fn only_known_fields_are_left_out_when_they_are_not() {
        let object = Object::default().known("a", None::<u8>).field("b", None::<u8>).known("c", Some(3_u8));
        assert_eq!(text(&object), br#"{"b":null,"c":3}"#);
    }

    proptest! {
        #[test]
        fn values_are_what_serde_json_makes_of_them(
            string in any::<String>(),
            numbers in any::<(u8, u32, u64, i32)>(),
            list in vec(any::<Option<bool>>(), 0..5),
            array in any::<[u64; 3]>(),
        ) {
            check(&string.as_str())?;
            check(&numbers.0)?;
            check(&numbers.1)?;
            check(&numbers.2)?;
            check(&numbers.3)?;
            check(&list)?;
            check(&array)?;
        }

        #[test]
        fn objects_are_what_serde_json_makes_of_them(
            fields in vec((any::<String>(), any::<Option<u64>>(), any::<String>()), 0..5),
        ) {
            let (mut ours, mut theirs) = (Object::default(), Vec::new());
            for (name, number, inner) in &fields {
                ours = ours.field(name, Object::default().field(inner, number));
                let value = serde_json::json!({ inner.as_str(): number });
                theirs.push(format!("{}:{value}", serde_json::to_string(name).unwrap()));
            }
            prop_assert_eq!(text(&ours), format!("{{{}}}", theirs.join(",")).into_bytes());
        }
    }
}
