//! A writer that shows how far it got, when that takes long enough for anybody to wonder.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

/// How long writing may take before the bar appears.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the bar says, with and without a known end.
const WITH_TOTAL: &str = "{spinner} {msg}: [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
const WITHOUT_TOTAL: &str = "{spinner} {msg}: {bytes}, {bytes_per_sec}";

/// Whether anybody would see a bar.
pub fn is_visible() -> bool {
    io::stderr().is_terminal()
}

/// Passes everything on. Shows a bar on standard error when that is a terminal and the writing lasts.
pub struct ProgressWriter<W> {
    inner: W,
    doing: &'static str,
    total: Option<u64>,
    written: u64,
    started: Option<Instant>,
    bar: Option<ProgressBar>,
    visible: bool,
}

impl<W: Write> ProgressWriter<W> {
    /// A writer onto `inner`. The clock starts with the first write. `doing` says what lasts; `total` is about how
    /// many bytes there will be, when that is known.
    pub fn new(inner: W, doing: &'static str, total: Option<u64>) -> Self {
        Self { inner, doing, total, written: 0, started: None, bar: None, visible: is_visible() }
    }

    /// Removes the bar and gives the inner writer back.
    pub fn finish(mut self) -> W {
        self.clear();
        self.inner
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes as u64);
        if self.bar.is_none() && self.visible && self.started.is_some_and(|at| at.elapsed() > PATIENCE) {
            self.bar = Some(new_bar(self.doing, self.total));
        }
        if let Some(bar) = &self.bar {
            // The total was an estimate.
            if bar.length().is_some_and(|length| length < self.written) {
                bar.set_length(self.written);
            }
            bar.set_position(self.written);
        }
    }
}

fn new_bar(doing: &'static str, total: Option<u64>) -> ProgressBar {
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = if total.is_some() { WITH_TOTAL } else { WITHOUT_TOTAL };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(doing);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl<W: Write> Write for ProgressWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.started.get_or_insert_with(Instant::now);
        let result = self.inner.write(bytes);
        match &result {
            Ok(count) => self.advance(*count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What follows on standard error is the error message.
            Err(_) => self.clear(),
        }
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
    fn everything_passes_through_and_no_bar_appears_for_short_work() {
        let mut writer = ProgressWriter::new(Vec::new(), "writing", Some(6));
        writer.visible = true;
        writer.write_all(b"abc").unwrap();
        writer.write_all(b"def").unwrap();
        assert_eq!(writer.written, 6);
        assert!(writer.bar.is_none());
        assert_eq!(writer.finish(), b"abcdef");
    }

    #[test]
    fn a_bar_appears_when_the_writing_lasts_and_only_on_a_terminal() {
        for visible in [true, false] {
            let mut writer = slow(None, visible);
            writer.write_all(b"abc").unwrap();
            assert_eq!(writer.bar.as_ref().map(ProgressBar::position), visible.then_some(3));
        }
    }

    #[test]
    fn the_bar_knows_the_end_and_moves_it_when_there_is_more() {
        let mut writer = slow(Some(4), true);
        writer.write_all(b"abc").unwrap();
        assert_eq!(writer.bar.as_ref().and_then(ProgressBar::length), Some(4));
        writer.write_all(b"def").unwrap();
        let bar = writer.bar.as_ref().unwrap();
        assert_eq!((bar.length(), bar.position()), (Some(6), 6));
        for template in [WITH_TOTAL, WITHOUT_TOTAL] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
