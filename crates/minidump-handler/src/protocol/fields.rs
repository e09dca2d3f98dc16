//! Takes a message apart without believing it.

use super::{FIELD_HEADER, HEADER, MAGIC, MOST_BYTES, VERSION, padded};

/// Why a message is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not begin as one.
    #[error("it does not begin with the magic number")]
    Magic,
    /// Another version wrote it.
    #[error("it has version {0}, and this program knows version {VERSION}")]
    Version(u16),
    /// It is longer or shorter than it says.
    #[error("it has another length than it says")]
    Length,
    /// A field does not fit.
    #[error("a field does not fit in it")]
    Field,
    /// Its kind is not known.
    #[error("its kind {0} is not known")]
    Kind(u16),
    /// A field that it must have is not there, or has a wrong size.
    #[error("field {0} is missing or has a wrong size")]
    Missing(u16),
}

/// Header and fields of a message.
#[derive(Debug)]
pub struct Fields<'m> {
    pub kind: u16,
    rest: &'m [u8],
}

impl<'m> Fields<'m> {
    pub fn of(message: &'m [u8]) -> Result<Self, Malformed> {
        let (header, rest) = message.split_at_checked(HEADER).ok_or(Malformed::Magic)?;
        if number(header, 0, 4) != u64::from(MAGIC) {
            return Err(Malformed::Magic);
        }
        let version = u16::try_from(number(header, 4, 2)).unwrap_or(0);
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        if usize::try_from(number(header, 8, 4)) != Ok(message.len()) || message.len() > MOST_BYTES {
            return Err(Malformed::Length);
        }
        Ok(Self { kind: u16::try_from(number(header, 6, 2)).unwrap_or(0), rest })
    }
}

impl<'m> Iterator for Fields<'m> {
    /// Tag and bytes.
    type Item = Result<(u16, &'m [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let taken = self.take();
        if taken.is_none() {
            self.rest = &[];
        }
        Some(taken.ok_or(Malformed::Field))
    }
}

impl<'m> Fields<'m> {
    fn take(&mut self) -> Option<(u16, &'m [u8])> {
        let (header, rest) = self.rest.split_at_checked(FIELD_HEADER)?;
        let length = usize::try_from(number(header, 4, 4)).ok()?;
        let (padding, rest) = rest.split_at_checked(padded(length))?;
        self.rest = rest;
        Some((u16::try_from(number(header, 0, 2)).ok()?, padding.get(..length)?))
    }
}

/// A number of `size` bytes at `at`; zero where there are no such bytes.
pub fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let found = at.checked_add(size).and_then(|end| bytes.get(at..end)).unwrap_or(&[]);
    found.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
