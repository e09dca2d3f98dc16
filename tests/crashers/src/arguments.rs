//! What the command line tells a scenario.

use std::ffi::OsString;
use std::str::FromStr;

/// What follows the scenario's name on the command line.
pub struct Arguments(Vec<OsString>);

impl Arguments {
    /// These words.
    pub fn new(words: impl Iterator<Item = OsString>) -> Self {
        Self(words.collect())
    }

    /// Argument `index` as text.
    pub fn text(&self, index: usize) -> Option<&str> {
        self.0.get(index)?.to_str()
    }

    /// Argument `index` as raw bytes of the system.
    pub fn raw(&self, index: usize) -> Option<&OsString> {
        self.0.get(index)
    }

    /// Argument `index` parsed, or `default` when it is absent.
    pub fn parsed<T: FromStr>(&self, index: usize, default: T) -> T {
        self.text(index).map_or(default, |text| {
            text.parse().unwrap_or_else(|_| panic!("argument {index} does not parse: {text}"))
        })
    }
}
