use std::io::{self, Write};

/// Hands on what is written, and keeps a copy of what was taken.
#[derive(Debug)]
pub(super) struct Tee<W> {
    destination: W,
    copy: Vec<u8>,
}

impl<W: Write> Tee<W> {
    pub fn new(destination: W) -> Self {
        Self { destination, copy: Vec::new() }
    }

    /// All that `destination` took.
    pub fn into_copy(self) -> Vec<u8> {
        self.copy
    }
}

impl<W: Write> Write for Tee<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.destination.write(bytes)?;
        self.copy.extend_from_slice(bytes.get(..taken).unwrap_or(bytes));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.destination.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at a time, eight in all.
    struct Narrow(Vec<u8>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(3).min(8 - self.0.len());
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_copy_holds_what_was_taken_and_no_more() {
        let mut narrow = Narrow(Vec::new());
        let mut tee = Tee::new(&mut narrow);
        tee.write_all(b"01234").expect("there is room");
        assert_eq!(tee.copy, b"01234");
        let error = tee.write_all(b"56789").expect_err("there is none");
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
        assert_eq!(tee.into_copy(), b"01234567");
        assert_eq!(narrow.0, b"01234567");
    }
}
