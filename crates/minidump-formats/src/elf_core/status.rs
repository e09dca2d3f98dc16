//! Values from the text of /proc/PID/status (proc(5)): lines of a name, a colon, a tab, and values.

/// The first value of the line `name`.
fn value<'a>(status: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let line =
        status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name)?.strip_prefix(b":"))?;
    str::from_utf8(line).ok()?.split_whitespace().next()
}

/// A decimal number.
pub(crate) fn number(status: &[u8], name: &[u8]) -> Option<u32> {
    value(status, name)?.parse().ok()
}

/// A set of signals.
pub(crate) fn signals(status: &[u8], name: &[u8]) -> Option<u64> {
    u64::from_str_radix(value(status, name)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_the_line_counts() {
        let status = b"Name:\tNSpgid: 3\nPid:\t12\nGid:\t100\t5\t6\t7\nNSpgid:\t88\t1\nSigBlk:\t0000000080000000\nBad:\n";
        assert_eq!(number(status, b"Gid"), Some(100));
        assert_eq!(number(status, b"NSpgid"), Some(88));
        assert_eq!(signals(status, b"SigBlk"), Some(1 << 31));
        assert_eq!(number(status, b"Bad"), None);
        assert_eq!(number(status, b"id"), None);
    }
}
