//! Text of /proc/PID/maps as large programs have it.

use std::fmt::Write;

/// Where the first mapping lies.
const BASE: u64 = 0x7f12_3400_0000;
/// Pages from one mapping to the next.
const STEP: u64 = 0x4000;

/// `count` lines, of which 11 in 20 are anonymous, 5 are files' pieces, 2 are guards, and one each has a name that is
/// escaped and a name of the program's own.
pub fn mixed(count: usize) -> Result<Vec<u8>, std::fmt::Error> {
    let mut text = String::new();
    for (index, start) in (0..count).zip((0..).map(|number| BASE + number * STEP)) {
        match index % 20 {
            0..=10 => line(&mut text, start, "rw-p", 0, "00:00 0", "")?,
            11..=15 => {
                let rights = ["r--p", "r-xp", "r--p", "r--p", "rw-p"].get(index % 20 - 11).unwrap_or(&"r--p");
                let offset = (index as u64 % 20 - 11) * 0x3000;
                let path = format!("/usr/lib/x86_64-linux-gnu/libsomething{}.so.1.{index}", index / 20);
                line(&mut text, start, rights, offset, &format!("fe:01 {}", 1_000_000 + index / 20), &path)?;
            }
            16 | 17 => line(&mut text, start, "---p", 0, "00:00 0", "")?,
            18 => {
                let path = format!("/var/cache/odd\\012name {index} (deleted)");
                line(&mut text, start, "rw-s", 0x1000, &format!("fe:02 {index}"), &path)?;
            }
            _ => line(&mut text, start, "rw-p", 0, "00:00 0", "[anon:arena]")?,
        }
    }
    Ok(text.into_bytes())
}

/// `count` lines of anonymous memory, as a program with many threads or allocations has them.
pub fn anonymous(count: usize) -> Result<Vec<u8>, std::fmt::Error> {
    let mut text = String::new();
    for start in (0..count).zip(0..).map(|(_, number)| BASE + number * STEP) {
        line(&mut text, start, "rw-p", 0, "00:00 0", "")?;
    }
    Ok(text.into_bytes())
}

/// One line, padded as the kernel does: names begin in column 73, and one blank is always there.
pub fn line(
    text: &mut String,
    start: u64,
    rights: &str,
    offset: u64,
    file: &str,
    name: &str,
) -> std::fmt::Result {
    const COLUMN: usize = 73;
    let end = start + 0x1000;
    let from = text.len();
    write!(text, "{start:x}-{end:x} {rights} {offset:08x} {file} ")?;
    let length = text.len() - from;
    if !name.is_empty() {
        text.extend(std::iter::repeat_n(' ', COLUMN.saturating_sub(length)));
    }
    writeln!(text, "{name}")
}
