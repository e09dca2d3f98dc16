//! What went wrong, in the kernel's log: a program that the kernel starts has no other place to tell it.

use crate::text::escape;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Longest sentence, in characters. One write to /dev/kmsg is one record of about 1,000 bytes.
const LONGEST: usize = 300;

/// Writes one line of the priority "error". The kernel limits how many it takes of a program at a time
/// (`kernel.printk_devkmsg`).
pub fn tell(sentence: &str) {
    let line = line(sentence);
    // Who may not write there is no helper of the kernel, and has a standard error.
    let log = OpenOptions::new().write(true).open("/dev/kmsg");
    let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
}

fn line(sentence: &str) -> String {
    let short: String = escape(sentence).chars().take(LONGEST).collect();
    format!("<3>minidump-writer core-handler: {short}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_short_line_whatever_a_process_calls_itself() {
        assert_eq!(line("a\nb\u{1b}"), "<3>minidump-writer core-handler: a\\nb\\u{1b}\n");
        assert!(line(&"x".repeat(5000)).len() < 400);
    }
}
