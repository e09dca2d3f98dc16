use super::FormatError;
use std::io::{self, IoSlice, Write};

/// Most pieces that one call hands over. Linux takes four times as many (`UIO_MAXIOV`).
const MOST_PIECES: usize = 256;

static ZEROS: [u8; 4096] = [0; 4096];

/// Hands bytes to an output from where they lie: many pieces in one call, and none of them copied.
pub(crate) struct Gather<'a, 'o> {
    output: &'o mut dyn Write,
    /// What has not been handed over yet.
    pieces: Vec<IoSlice<'a>>,
    bytes: u64,
}

impl<'a, 'o> Gather<'a, 'o> {
    /// For an output that has `bytes` bytes already.
    pub(crate) fn new(output: &'o mut dyn Write, bytes: u64) -> Self {
        Self { output, pieces: Vec::new(), bytes }
    }

    /// Bytes of the output, with those that are not handed over yet.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a piece that stays where it is.
    pub(crate) fn push(&mut self, piece: &'a [u8]) -> Result<(), FormatError> {
        if piece.is_empty() {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        self.pieces.push(IoSlice::new(piece));
        if self.pieces.len() < MOST_PIECES { Ok(()) } else { self.flush() }
    }

    /// Takes zeros up to the next multiple of `alignment` bytes taken.
    pub(crate) fn align(&mut self, alignment: u64) -> Result<(), FormatError> {
        let mut left =
            self.bytes.checked_next_multiple_of(alignment).map_or(0, |aligned| aligned - self.bytes);
        while left > 0 {
            let zeros = usize::try_from(left).ok().and_then(|left| ZEROS.get(..left)).unwrap_or(&ZEROS);
            self.push(zeros)?;
            left = left.saturating_sub(zeros.len() as u64);
        }
        Ok(())
    }

    /// Hands over a piece that will not stay, and all that was taken before it.
    pub(crate) fn put(&mut self, piece: &[u8]) -> Result<(), FormatError> {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        let mut pieces: Vec<IoSlice<'_>> = std::mem::take(&mut self.pieces);
        pieces.extend(Some(IoSlice::new(piece)).filter(|piece| !piece.is_empty()));
        write_all_vectored(self.output, &mut pieces).map_err(refused)
    }

    /// Hands over all that was taken. What is not, is lost when this is dropped.
    pub(crate) fn flush(&mut self) -> Result<(), FormatError> {
        let written = write_all_vectored(self.output, &mut self.pieces);
        self.pieces.clear();
        written.map_err(refused)
    }
}

/// `Write::write_all_vectored`, which is not stable yet.
fn write_all_vectored(output: &mut dyn Write, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !pieces.is_empty() {
        match output.write_vectored(pieces) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                // An output may claim more than it was given, and going past the end is a panic.
                let given = pieces.iter().map(|piece| piece.len()).fold(0, usize::saturating_add);
                IoSlice::advance_slices(&mut pieces, written.min(given));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(crate) fn refused(source: io::Error) -> FormatError {
    FormatError::Output { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what one call gives it, up to `most` bytes.
    struct Output {
        most: usize,
        calls: Vec<Vec<u8>>,
    }

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let taken: Vec<u8> =
                pieces.iter().flat_map(|piece| piece.iter()).copied().take(self.most).collect();
            self.calls.push(taken);
            Ok(self.calls.last().map_or(0, Vec::len))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn calls(most: usize, fill: impl FnOnce(&mut Gather<'static, '_>)) -> Vec<Vec<u8>> {
        let mut output = Output { most, calls: Vec::new() };
        let mut gather = Gather::new(&mut output, 0);
        fill(&mut gather);
        gather.flush().unwrap();
        output.calls
    }

    #[test]
    fn pieces_are_handed_over_together_and_in_order() {
        let calls = calls(usize::MAX, |gather| {
            for piece in ["one", "", "two"] {
                gather.push(piece.as_bytes()).unwrap();
            }
            gather.put(b"three").unwrap();
            gather.push(b"four").unwrap();
            assert_eq!(gather.bytes(), 15);
        });
        assert_eq!(calls, [b"onetwothree".to_vec(), b"four".to_vec()]);
    }

    #[test]
    fn zeros_fill_up_to_the_alignment() {
        let calls = calls(usize::MAX, |gather| {
            gather.align(16).unwrap();
            gather.push(b"one").unwrap();
            gather.align(8).unwrap();
            gather.align(8).unwrap();
            gather.put(b"two").unwrap();
            gather.align(1 << 14).unwrap();
        });
        assert_eq!(calls, [b"one\0\0\0\0\0two".to_vec(), vec![0; (1 << 14) - 11]]);
    }

    #[test]
    fn what_an_output_did_not_take_is_given_to_it_again() {
        let calls = calls(4, |gather| {
            for piece in ["one", "two", "three"] {
                gather.push(piece.as_bytes()).unwrap();
            }
        });
        assert_eq!(calls.concat(), b"onetwothree");
        assert_eq!(calls.len(), 3);
    }

    #[test]
    fn more_pieces_than_one_call_takes_go_in_several() {
        let calls = calls(usize::MAX, |gather| {
            for _ in 0..=MOST_PIECES {
                gather.push(b"ab").unwrap();
            }
        });
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [2 * MOST_PIECES, 2]);
    }

    /// Claims to have taken more than it was given.
    struct Liar;

    impl Write for Liar {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Ok(usize::MAX)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_claims_too_much_or_takes_nothing_is_survived() {
        let mut liar = Liar;
        let mut gather = Gather::new(&mut liar, 0);
        gather.push(b"one").unwrap();
        gather.push(b"two").unwrap();
        gather.flush().unwrap();
        let mut full: &mut [u8] = &mut [0; 4];
        let mut gather = Gather::new(&mut full, 0);
        gather.push(b"one").unwrap();
        gather.push(b"two").unwrap();
        let FormatError::Output { source } = gather.flush().unwrap_err() else { panic!() };
        assert_eq!(source.kind(), io::ErrorKind::WriteZero);
    }
}
