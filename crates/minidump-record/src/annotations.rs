//! What a program says of itself: pairs of texts in fixed storage.
//!
//! Setting one takes a lock among the setters alone. Reading takes none, follows no pointer and believes no length, so
//! that a crash may have interrupted a setter, and the heap and this storage may have been overwritten.

use crate::sys;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

/// Most annotations.
pub const MAX_ANNOTATIONS: usize = 64;
/// Longest key, in bytes.
pub const MAX_KEY: usize = KEY_WORDS * 8;
/// Longest value, in bytes.
pub const MAX_VALUE: usize = VALUE_WORDS * 8;

const KEY_WORDS: usize = 8;
const VALUE_WORDS: usize = 64;
const WORDS: usize = KEY_WORDS + VALUE_WORDS;
/// How often a setter lets others run before it gives up. They hold the lock for less than a microsecond.
const PATIENCE: u32 = 10_000;
/// How often a reader looks again at an annotation that is being changed.
const LOOKS: u32 = 64;

/// Why an annotation was not set. All the others are as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnotationError {
    /// The key is empty or longer than [`MAX_KEY`] bytes.
    BadKey,
    /// The value is longer than [`MAX_VALUE`] bytes.
    ValueTooLong,
    /// There are [`MAX_ANNOTATIONS`] already.
    Full,
    /// Another thread, or the code that this signal handler interrupted, did not finish its change.
    Busy,
}

impl core::fmt::Display for AnnotationError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::BadKey => "the key is empty or too long",
            Self::ValueTooLong => "the value is too long",
            Self::Full => "there is no room for another annotation",
            Self::Busy => "another change of the annotations was not finished",
        })
    }
}

impl core::error::Error for AnnotationError {}

/// One annotation. The sequence is odd while it is changed.
struct Slot {
    sequence: AtomicU32,
    /// Lengths in bytes: of the key in the low half, zero in a free slot; of the value in the high half.
    lengths: AtomicU32,
    words: [AtomicU64; WORDS],
}

/// The annotations of a process; meant to be a `static`.
///
/// ```
/// use minidump_record::Annotations;
/// static ANNOTATIONS: Annotations = Annotations::new();
/// ANNOTATIONS.set("version", "1.2.3").unwrap();
/// ```
pub struct Annotations {
    slots: [Slot; MAX_ANNOTATIONS],
    changing: AtomicBool,
}

impl Default for Annotations {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Annotations {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Annotations")
    }
}

impl Annotations {
    /// No annotations.
    #[must_use]
    #[expect(clippy::large_stack_arrays, reason = "it is the value of a static")]
    pub const fn new() -> Self {
        Self { slots: [const { Slot::new() }; MAX_ANNOTATIONS], changing: AtomicBool::new(false) }
    }

    /// Sets the annotation `key`, in place of its earlier value. May be called at any time, from any thread, and from a
    /// signal handler.
    ///
    /// # Errors
    /// It has no room, or another change is in the way. See [`AnnotationError`].
    pub fn set(&self, key: &str, value: &str) -> Result<(), AnnotationError> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(AnnotationError::BadKey);
        }
        if value.len() > MAX_VALUE {
            return Err(AnnotationError::ValueTooLong);
        }
        let _turn = self.take_turn()?;
        let slot = self.find(key).or_else(|| self.slots.iter().find(|slot| slot.is_free()));
        slot.ok_or(AnnotationError::Full)?.change(key.as_bytes(), value.as_bytes());
        Ok(())
    }

    /// Removes the annotation `key`. Returns whether it was there.
    ///
    /// # Errors
    /// Another change is in the way.
    pub fn remove(&self, key: &str) -> Result<bool, AnnotationError> {
        let _turn = self.take_turn()?;
        let slot = self.find(key);
        slot.inspect(|slot| slot.change(&[], &[]));
        Ok(slot.is_some())
    }

    /// Calls `see` with key and value of every annotation, as the bytes that they are. Takes no lock. Returns how many
    /// could not be read because they were being changed.
    pub fn for_each(&self, mut see: impl FnMut(&[u8], &[u8])) -> u32 {
        let mut unread = 0_u32;
        for slot in &self.slots {
            let mut copy = Copied { bytes: [0; WORDS * 8], key: 0, value: 0 };
            if !slot.read(&mut copy) {
                unread = unread.saturating_add(1);
            } else if copy.key > 0 {
                see(copy.key(), copy.value());
            }
        }
        unread
    }

    /// Reads the annotation at `index` into `copy`. `None` when it is being changed.
    pub(crate) fn read(&self, index: usize, copy: &mut Copied) -> Option<()> {
        self.slots.get(index).filter(|slot| slot.read(copy)).map(|_| ())
    }

    fn find(&self, key: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.has_key(key.as_bytes()))
    }

    fn take_turn(&self) -> Result<Turn<'_>, AnnotationError> {
        for _ in 0..PATIENCE {
            if !self.changing.swap(true, Ordering::Acquire) {
                return Ok(Turn(&self.changing));
            }
            sys::yield_now();
        }
        Err(AnnotationError::Busy)
    }
}

/// The right to change annotations.
struct Turn<'a>(&'a AtomicBool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A copy of an annotation.
pub(crate) struct Copied {
    bytes: [u8; WORDS * 8],
    key: usize,
    value: usize,
}

impl Copied {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; WORDS * 8], key: 0, value: 0 }
    }

    /// Empty when there is no annotation.
    pub(crate) fn key(&self) -> &[u8] {
        self.bytes.get(..self.key).unwrap_or_default()
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.bytes.get(MAX_KEY..MAX_KEY.saturating_add(self.value)).unwrap_or_default()
    }
}

impl Slot {
    const fn new() -> Self {
        let words = [const { AtomicU64::new(0) }; WORDS];
        Self { sequence: AtomicU32::new(0), lengths: AtomicU32::new(0), words }
    }

    fn lengths(&self) -> (usize, usize) {
        let lengths = self.lengths.load(Ordering::Relaxed);
        let [key_low, key_high, value_low, value_high] = lengths.to_le_bytes();
        let key = usize::from(u16::from_le_bytes([key_low, key_high]));
        let value = usize::from(u16::from_le_bytes([value_low, value_high]));
        // They may have been overwritten.
        (key.min(MAX_KEY), value.min(MAX_VALUE))
    }

    fn is_free(&self) -> bool {
        self.lengths().0 == 0
    }

    fn has_key(&self, key: &[u8]) -> bool {
        let words = self.words.iter().take(KEY_WORDS);
        let bytes = words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes());
        self.lengths().0 == key.len() && !key.is_empty() && bytes.zip(key).all(|(a, b)| a == *b)
    }

    fn change(&self, key: &[u8], value: &[u8]) {
        // A setter that was cut off, or a wild write, may have left it odd.
        let sequence = self.sequence.load(Ordering::Relaxed) & !1;
        self.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        store(self.words.iter().take(KEY_WORDS), key);
        store(self.words.iter().skip(KEY_WORDS), value);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
        self.lengths.store(length(key) | length(value) << 16, Ordering::Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }

    fn read(&self, copy: &mut Copied) -> bool {
        for _ in 0..LOOKS {
            let before = self.sequence.load(Ordering::Acquire);
            if before & 1 == 0 {
                (copy.key, copy.value) = self.lengths();
                for (to, word) in copy.bytes.as_chunks_mut::<8>().0.iter_mut().zip(&self.words) {
                    crate::bytes::copy(to, &word.load(Ordering::Relaxed).to_le_bytes());
                }
                fence(Ordering::Acquire);
                if self.sequence.load(Ordering::Relaxed) == before {
                    return true;
                }
            }
            core::hint::spin_loop();
        }
        false
    }
}

/// Stores `bytes`, and zeros behind them.
fn store<'a>(words: impl Iterator<Item = &'a AtomicU64>, bytes: &[u8]) {
    let mut rest = bytes;
    for word in words {
        let mut piece = [0; 8];
        let done = crate::bytes::copy(&mut piece, rest);
        rest = rest.get(done..).unwrap_or_default();
        word.store(u64::from_le_bytes(piece), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn all(annotations: &Annotations) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut found = Vec::new();
        assert_eq!(annotations.for_each(|key, value| found.push((text(key), text(value)))), 0);
        found
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn annotations_are_set_changed_and_removed() {
        let annotations = Annotations::new();
        annotations.set("a", "the first value, of more than one word").unwrap();
        annotations.set("ab", "").unwrap();
        annotations.set("a", "2").unwrap();
        assert_eq!(all(&annotations), pairs(&[("a", "2"), ("ab", "")]));
        assert_eq!(annotations.remove("a"), Ok(true));
        assert_eq!(annotations.remove("a"), Ok(false));
        assert_eq!(all(&annotations), pairs(&[("ab", "")]));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let annotations = Annotations::new();
        let (key, value) = ("k".repeat(MAX_KEY), "v".repeat(MAX_VALUE));
        annotations.set(&key, &value).unwrap();
        assert_eq!(annotations.set(&(key.clone() + "k"), ""), Err(AnnotationError::BadKey));
        assert_eq!(annotations.set("", ""), Err(AnnotationError::BadKey));
        assert_eq!(annotations.set(&key, &(value.clone() + "v")), Err(AnnotationError::ValueTooLong));
        for index in 1..MAX_ANNOTATIONS {
            annotations.set(&index.to_string(), "x").unwrap();
        }
        assert_eq!(annotations.set("more", "x"), Err(AnnotationError::Full));
        annotations.set("7", "y").unwrap();
        let found = all(&annotations);
        assert_eq!(found.len(), MAX_ANNOTATIONS);
        assert_eq!(found[0], (key, value));
        assert_eq!(found[7], ("7".to_string(), "y".to_string()));
    }

    #[test]
    fn a_setter_that_never_finishes_costs_its_annotation_alone() {
        let annotations = Annotations::new();
        annotations.set("a", "1").unwrap();
        annotations.set("b", "2").unwrap();
        annotations.slots[0].sequence.fetch_add(1, Ordering::Relaxed);
        annotations.changing.store(true, Ordering::Relaxed);
        let mut found = Vec::new();
        assert_eq!(annotations.for_each(|key, _| found.push(key.to_vec())), 1);
        assert_eq!(found, [b"b".to_vec()]);
        assert_eq!(annotations.set("c", "3"), Err(AnnotationError::Busy));
    }

    #[test]
    fn overwritten_lengths_do_not_reach_beyond_the_slot() {
        let annotations = Annotations::new();
        annotations.set("a", "1").unwrap();
        annotations.slots[0].lengths.store(u32::MAX, Ordering::Relaxed);
        annotations.for_each(|key, value| assert_eq!((key.len(), value.len()), (MAX_KEY, MAX_VALUE)));
    }

    #[test]
    fn readers_never_see_half_a_change() {
        let annotations = Annotations::new();
        annotations.set("k", "a").unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..20_000_u32 {
                    let letter = if round % 2 == 0 { "a" } else { "b" };
                    annotations.set("k", &letter.repeat(1 + (round as usize * 7) % MAX_VALUE)).unwrap();
                }
            });
            while !writer.is_finished() {
                annotations.for_each(|key, value| {
                    assert_eq!(key, b"k");
                    assert!(value.iter().all(|byte| *byte == value[0]), "torn");
                });
            }
        });
    }
}
