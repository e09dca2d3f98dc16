//! One JSON object on one line, built without a serialiser: crashers depend on nothing but libc.

use std::fmt::Write as _;

/// A JSON object under construction.
pub struct Facts(String);

impl Facts {
    /// An object that tells the process id.
    pub fn new() -> Self {
        Self(String::new()).number("pid", std::process::id())
    }

    /// Adds a number.
    pub fn number(mut self, key: &str, value: impl Into<u64>) -> Self {
        self.key(key);
        let _ = write!(self.0, "{}", value.into());
        self
    }

    /// Adds an address or a count.
    pub fn size(self, key: &str, value: usize) -> Self {
        self.number(key, value as u64)
    }

    /// Adds a truth value.
    pub fn flag(mut self, key: &str, value: bool) -> Self {
        self.key(key);
        let _ = write!(self.0, "{value}");
        self
    }

    /// Adds a text. Bytes outside printable ASCII are escaped one by one, so the text must be ASCII to survive.
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        quote(&mut self.0, value);
        self
    }

    /// Adds raw bytes as lower-case hexadecimal digits.
    pub fn bytes(self, key: &str, value: &[u8]) -> Self {
        let digits = value.iter().fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        self.text(key, &digits)
    }

    /// Adds a list of numbers.
    pub fn numbers(mut self, key: &str, values: impl IntoIterator<Item = u64>) -> Self {
        self.key(key);
        let joined: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        let _ = write!(self.0, "[{}]", joined.join(","));
        self
    }

    /// Adds a list of objects.
    pub fn objects(mut self, key: &str, values: impl IntoIterator<Item = Facts>) -> Self {
        self.key(key);
        let joined: Vec<String> = values.into_iter().map(|value| format!("{{{}}}", value.0)).collect();
        let _ = write!(self.0, "[{}]", joined.join(","));
        self
    }

    /// Adds an object.
    pub fn object(mut self, key: &str, value: &Facts) -> Self {
        self.key(key);
        let _ = write!(self.0, "{{{}}}", value.0);
        self
    }

    /// An object without the process id, for use inside another.
    pub fn part() -> Self {
        Self(String::new())
    }

    /// Prints the object as one line.
    pub fn print(&self) {
        crate::sys::write_line(&format!("{{{}}}", self.0));
    }

    fn key(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        quote(&mut self.0, key);
        self.0.push(':');
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(byte.into());
            }
            b' '..=b'~' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push('"');
}
