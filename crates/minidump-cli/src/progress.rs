//! A writer that shows how far it got, when that takes long enough for anybody to wonder.

use std::fmt::Write as _;
use std::io::{self, IoSlice, IsTerminal as _, Write};
use std::time::{Duration, Instant};

/// How long writing may take before anything is shown.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a line stays before the next one replaces it.
const PERIOD: Duration = Duration::from_millis(100);
/// Width of the bar, in characters.
const BAR: usize = 30;

/// Around a line: back to the start with line wrapping off, and the rest of the line erased with wrapping on again. A
/// terminal that is too narrow cuts the line then (DECAWM and EL, ECMA-48 and DEC STD 070).
const BEFORE: &str = "\r\x1b[?7l";
const AFTER: &str = "\x1b[K\x1b[?7h";
/// Takes the line away.
const ERASE: &str = "\r\x1b[K";

/// Whether anybody would see the progress.
pub fn is_visible() -> bool {
    io::stderr().is_terminal()
}

/// Passes everything on. Shows a line on standard error when that is a terminal and the writing lasts.
pub struct ProgressWriter<W> {
    inner: W,
    doing: &'static str,
    total: Option<u64>,
    written: u64,
    started: Option<Instant>,
    shown: Option<Instant>,
    visible: bool,
}

impl<W: Write> ProgressWriter<W> {
    /// A writer onto `inner`. The clock starts with the first write. `doing` says what lasts; `total` is about how
    /// many bytes there will be, when that is known.
    pub fn new(inner: W, doing: &'static str, total: Option<u64>) -> Self {
        Self { inner, doing, total, written: 0, started: None, shown: None, visible: is_visible() }
    }

    /// Takes the line away and gives the inner writer back.
    pub fn finish(mut self) -> W {
        self.clear();
        self.inner
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            draw(ERASE);
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes as u64);
        let Some(started) = self.started.filter(|_| self.visible) else { return };
        let elapsed = started.elapsed();
        if self.shown.map_or(elapsed > PATIENCE, |at| at.elapsed() >= PERIOD) {
            self.shown = Some(Instant::now());
            draw(&format!("{BEFORE}{}{AFTER}", self.line(elapsed)));
        }
    }

    fn note(&mut self, written: &io::Result<usize>) {
        match written {
            Ok(count) => self.advance(*count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What follows on standard error is the error message.
            Err(_) => self.clear(),
        }
    }

    /// What is shown after `elapsed`.
    fn line(&self, elapsed: Duration) -> String {
        let rate = u128::from(self.written).saturating_mul(1000).checked_div(elapsed.as_millis());
        let rate = u64::try_from(rate.unwrap_or(0)).unwrap_or(u64::MAX);
        let mut line = format!("{}: ", self.doing);
        // The total is an estimate.
        let total = self.total.map(|total| total.max(self.written));
        if let Some(total) = total {
            let _ = write!(line, "[{}] ", bar(self.written, total));
        }
        line += &size(self.written);
        if let Some(total) = total {
            let _ = write!(line, " of {}", size(total));
        }
        let _ = write!(line, ", {}/s", size(rate));
        let left = total.and_then(|total| total.saturating_sub(self.written).checked_div(rate));
        if let Some(seconds) = left {
            let _ = write!(line, ", {seconds} s left");
        }
        line
    }
}

fn draw(text: &str) {
    // A standard error that takes nothing leaves nobody to show anything to.
    let _ = io::stderr().write_all(text.as_bytes());
}

fn bar(done: u64, total: u64) -> String {
    let full = (u128::from(done) * BAR as u128).checked_div(u128::from(total)).unwrap_or(0);
    let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
    "#".repeat(full) + &"-".repeat(BAR - full)
}

/// `bytes` with one decimal in the largest unit that leaves something before the point.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let Some((shift, unit)) = units.into_iter().find(|(shift, _)| bytes >> shift != 0) else {
        return format!("{bytes} B");
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

impl<W: Write> Write for ProgressWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.started.get_or_insert_with(Instant::now);
        let result = self.inner.write(bytes);
        self.note(&result);
        result
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.started.get_or_insert_with(Instant::now);
        let result = self.inner.write_vectored(pieces);
        self.note(&result);
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer whose writing has lasted for long.
    fn slow(total: Option<u64>, visible: bool) -> ProgressWriter<Vec<u8>> {
        let mut writer = ProgressWriter::new(Vec::new(), "writing", total);
        writer.visible = visible;
        writer.started = Instant::now().checked_sub(PATIENCE * 2);
        writer
    }

    #[test]
    fn everything_passes_through_and_no_line_appears_for_short_work() {
        let mut writer = ProgressWriter::new(Vec::new(), "writing", Some(6));
        writer.visible = true;
        writer.write_all(b"abc").unwrap();
        writer.write_all(b"def").unwrap();
        assert_eq!(writer.written, 6);
        assert!(writer.shown.is_none());
        assert_eq!(writer.finish(), b"abcdef");
    }

    #[test]
    fn a_line_appears_when_the_writing_lasts_and_only_on_a_terminal() {
        for visible in [true, false] {
            let mut writer = slow(None, visible);
            writer.write_all(b"abc").unwrap();
            assert_eq!(writer.shown.is_some(), visible);
            assert_eq!(writer.written, 3);
            writer.clear();
            assert!(writer.shown.is_none());
        }
    }

    #[test]
    fn the_line_tells_how_far_how_fast_and_how_long_still() {
        let mut writer = slow(Some(4 << 20), false);
        writer.write_all(&vec![7; 1 << 20]).unwrap();
        let bar = "#".repeat(7) + &"-".repeat(23);
        let expected = format!("writing: [{bar}] 1.0 MiB of 4.0 MiB, 512.0 KiB/s, 6 s left");
        assert_eq!(writer.line(Duration::from_secs(2)), expected);
        writer.total = None;
        assert_eq!(writer.line(Duration::from_secs(2)), "writing: 1.0 MiB, 512.0 KiB/s");
        assert_eq!(writer.line(Duration::ZERO), "writing: 1.0 MiB, 0 B/s");
    }

    #[test]
    fn the_line_knows_the_end_and_moves_it_when_there_is_more() {
        let mut writer = slow(Some(4), false);
        writer.write_all(b"abc").unwrap();
        assert!(writer.line(PATIENCE).contains("3 B of 4 B"));
        writer.write_all(b"def").unwrap();
        assert!(writer.line(PATIENCE).contains("6 B of 6 B"));
        assert!(writer.line(PATIENCE).contains(&"#".repeat(BAR)));
    }

    #[test]
    fn sizes_have_a_fitting_unit() {
        let expected = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_610_612_736, "1.5 GiB")];
        for (bytes, text) in expected {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }
}
