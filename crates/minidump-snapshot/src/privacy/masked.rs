use super::intervals::Intervals;
use crate::{MemorySource, ReadOutcome, ReadRequest};
use std::ops::Range;

/// A [`MemorySource`] whose bytes at certain addresses are hidden behind a fill byte, or a fill character of UTF-16.
///
/// It has the bytes that the wrapped source has, no more and no fewer.
pub struct MaskedMemory<'a> {
    memory: &'a dyn MemorySource,
    hidden: Intervals,
    /// What bytes at even and at odd addresses read as.
    fill: [u8; 2],
}

impl<'a> MaskedMemory<'a> {
    /// Hides what `memory` has at the addresses `hidden`: it reads as `fill`. The ranges may be in any order and may
    /// overlap.
    #[must_use]
    pub fn new(memory: &'a dyn MemorySource, hidden: &[Range<u64>], fill: u8) -> Self {
        Self { memory, hidden: intervals(hidden), fill: [fill; 2] }
    }

    /// Hides text in UTF-16: each of its code units reads as `fill`. All units lie at even addresses, or all at odd ones, as
    /// the first range does.
    #[must_use]
    pub fn wide(memory: &'a dyn MemorySource, hidden: &[Range<u64>], fill: u8) -> Self {
        let is_odd = hidden.first().is_some_and(|range| range.start % 2 == 1);
        Self { memory, hidden: intervals(hidden), fill: if is_odd { [0, fill] } else { [fill, 0] } }
    }

    fn hide(&self, address: u64, bytes: Option<&mut [u8]>) {
        let [even, odd] = self.fill;
        self.hidden.change(address, bytes.unwrap_or_default(), |start, bytes| {
            let fill = if start % 2 == 0 { [even, odd] } else { [odd, even] };
            for (byte, fill) in bytes.iter_mut().zip(fill.into_iter().cycle()) {
                *byte = fill;
            }
        });
    }
}

fn intervals(hidden: &[Range<u64>]) -> Intervals {
    Intervals::new(hidden.iter().map(|range| (range.start, range.end)).collect())
}

impl MemorySource for MaskedMemory<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> ReadOutcome {
        let outcome = self.memory.read(address, buffer);
        self.hide(address, buffer.get_mut(..outcome.done));
        outcome
    }

    fn read_batch(&self, requests: &mut [ReadRequest<'_>]) {
        self.memory.read_batch(requests);
        for request in requests {
            self.hide(request.address, request.buffer.get_mut(..request.outcome.done));
        }
    }

    fn slice(&self, address: u64, size: usize) -> &[u8] {
        let open = self.hidden.gap(address, size);
        let slice = if open == 0 { &[] } else { self.memory.slice(address, open) };
        // Nothing hidden gets out when the source gives more than it was asked for.
        slice.get(..open).unwrap_or(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BufferSource;

    fn source() -> BufferSource {
        let mut source = BufferSource::new();
        assert!(source.insert(0x1000, (0..16).collect()));
        assert!(source.insert(u64::MAX - 4, vec![7; 4]));
        source
    }

    #[test]
    fn hidden_bytes_read_as_the_fill_byte_however_they_are_read() {
        let source = source();
        let masked = MaskedMemory::new(&source, &[0x1002..0x1004, 0x100e..0x2000, 0x1003..0x1005], b'*');
        let expected = [0, 1, b'*', b'*', b'*', 5, 6, 7, 8, 9, 10, 11, 12, 13, b'*', b'*'];
        let mut whole = [0; 16];
        assert_eq!(masked.read(0x1000, &mut whole), ReadOutcome::complete(16));
        assert_eq!(whole, expected);
        for start in 0..16 {
            for end in start..=16 {
                let mut piece = vec![0xff; end - start];
                let mut requests = [ReadRequest::new(0x1000 + start as u64, &mut piece)];
                masked.read_batch(&mut requests);
                assert_eq!(requests[0].outcome, ReadOutcome::complete(end - start));
                assert_eq!(piece, expected[start..end]);
                let slice = masked.slice(0x1000 + start as u64, end - start);
                assert_eq!(slice, &expected[start..start + slice.len()]);
            }
        }
    }

    #[test]
    fn text_in_utf16_reads_as_the_fill_character_wherever_a_read_begins() {
        let source = source();
        for (hidden, expected) in [
            (0x1002..0x1006, [0, 1, b'*', 0, b'*', 0, 6, 7]),
            (0x1003..0x1007, [0, 1, 2, b'*', 0, b'*', 0, 7]),
        ] {
            let masked = MaskedMemory::wide(&source, &[hidden], b'*');
            for start in 0..8 {
                let mut piece = vec![0xff; 8 - start];
                assert_eq!(masked.read(0x1000 + start as u64, &mut piece).done, 8 - start);
                assert_eq!(piece, expected[start..]);
            }
        }
    }

    #[test]
    fn a_slice_ends_in_front_of_what_is_hidden() {
        let source = source();
        let masked = MaskedMemory::new(&source, &[0x1002..0x1004, 0x100e..0x2000], b'*');
        assert_eq!(masked.slice(0x1000, 16), [0, 1]);
        assert_eq!(masked.slice(0x1002, 16), []);
        assert_eq!(masked.slice(0x1003, 1), []);
        assert_eq!(masked.slice(0x1004, 3), [4, 5, 6]);
        assert_eq!(masked.slice(0x1004, 16), [4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        assert_eq!(masked.slice(u64::MAX - 4, 16), [7; 4]);
    }

    #[test]
    fn a_read_ends_where_the_wrapped_one_ends() {
        let source = source();
        let masked = MaskedMemory::new(&source, &[0..0x4000, 0x4000..u64::MAX], 0);
        let mut buffer = [0xff; 8];
        assert_eq!(masked.read(0x100c, &mut buffer), ReadOutcome::unreadable(4, None));
        assert_eq!(buffer[..4], [0; 4]);
        assert_eq!(masked.read(u64::MAX - 2, &mut buffer).done, 2);
        assert_eq!(masked.read(0x2000, &mut buffer).done, 0);
    }
}
