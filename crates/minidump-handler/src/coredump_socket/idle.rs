//! Memory that a process does not need while it only waits.
#![expect(unsafe_code, reason = "madvise")]

use std::fs;

/// Most of /proc/self/smaps looked at, in mappings.
const MOST: usize = 1 << 12;
/// Longest range given back at once, in bytes: no program file is as large.
const LARGEST: usize = 1 << 32;

/// Gives back the memory of program files that was needed to come here, such as the reading of arguments. What is needed
/// again comes back from the file by itself.
pub fn give_back_program_memory() {
    let Ok(smaps) = fs::read_to_string("/proc/self/smaps") else { return };
    for (start, end) in unmodified(&smaps) {
        let size = end.saturating_sub(start);
        if size < LARGEST {
            let start = std::ptr::without_provenance_mut::<libc::c_void>(start);
            // SAFETY: the range is a private mapping of a file that cannot be written to and that holds no page of its own
            // (`Anonymous`), so the kernel reads the same bytes again where they are used. Only the loader changes
            // mappings of program files, and it is done.
            unsafe { libc::madvise(start, size, libc::MADV_DONTNEED) };
        }
    }
}

/// The ranges of files in the text of /proc/PID/smaps (proc_pid_smaps(5)) that are private, not writable, and as they are
/// in the file. Relocated data are not writable either, but have pages of their own.
fn unmodified(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(size) = line.strip_prefix("Anonymous:") {
            let is_clean = size.trim() == "0 kB";
            found.extend(candidate.take().filter(|_| is_clean && found.len() < MOST));
        } else {
            candidate = private_file(line).or(candidate);
        }
    }
    found
}

/// Of the first line of a mapping of a file that is private and not writable: its range.
fn private_file(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    let mode = words.next()?;
    let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
    (is_file && matches!(mode, "r--p" | "r-xp")).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
5500-5600 r--p 00000000 fe:00 42 /usr/bin/a program\nRss: 4 kB\nAnonymous:             0 kB\nVmFlags: rd mr\n\
5600-5700 r-xp 00001000 fe:00 42 /usr/bin/a program\nAnonymous:             0 kB\n\
5700-5800 r--p 00002000 fe:00 42 /usr/bin/a program\nAnonymous:             8 kB\n\
5800-5900 rw-p 00003000 fe:00 42 /usr/bin/a program\nAnonymous:             0 kB\n\
5900-5a00 r--s 00003000 fe:00 42 /usr/bin/a program\nAnonymous:             0 kB\n\
6000-6100 r-xp 00000000 00:00 0 [vdso]\nAnonymous:             0 kB\n\
6100-6200 r-xp 00000000 00:00 0 \nAnonymous:             0 kB\n";

    #[test]
    fn only_unmodified_pages_of_private_files_go() {
        assert_eq!(unmodified(SMAPS), [(0x5500, 0x5600), (0x5600, 0x5700)]);
        assert_eq!(unmodified("Anonymous: 0 kB\nx-y r--p\n"), []);
    }

    #[test]
    fn a_program_goes_on_without_its_memory() {
        let before: Vec<u8> = (0..=u8::MAX).collect();
        give_back_program_memory();
        assert_eq!(format!("{:?}", before.iter().map(|byte| u32::from(*byte)).sum::<u32>()), "32640");
    }
}
