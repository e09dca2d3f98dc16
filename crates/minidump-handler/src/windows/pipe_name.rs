//! Names of pipes.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;

/// What names of pipes of this machine begin with.
const PREFIX: &str = r"\\.\pipe\";
/// The longest name, prefix included (CreateNamedPipe).
const LONGEST: usize = 256;

/// The whole name of a pipe of this machine, from that or from its last part. Anything else is refused: what opens a pipe
/// would open a file as well, or a pipe of another machine.
pub fn whole(name: &OsStr) -> io::Result<OsString> {
    let wrong = || {
        let why = format!(r"{} is no name of a pipe; those are NAME or {PREFIX}NAME", name.display());
        io::Error::new(io::ErrorKind::InvalidInput, why)
    };
    let text = name.to_str().ok_or_else(wrong)?;
    let has_prefix = text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    let last = if has_prefix { text.get(PREFIX.len()..).unwrap_or("") } else { text };
    let is_name = !last.is_empty() && !last.contains(['\\', '/', '\0', ':']);
    if !is_name || PREFIX.len().saturating_add(last.encode_utf16().count()) > LONGEST {
        return Err(wrong());
    }
    Ok(format!("{PREFIX}{last}").into())
}

/// A name that nobody can guess.
pub fn of_random(bytes: [u8; 16]) -> OsString {
    let mut name = format!("{PREFIX}minidump-writer-");
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_its_prefix_and_no_other() {
        let whole = |name: &str| whole(OsStr::new(name)).map(|name| name.into_string().unwrap()).ok();
        assert_eq!(whole("crash").as_deref(), Some(r"\\.\pipe\crash"));
        assert_eq!(whole(r"\\.\PIPE\crash").as_deref(), Some(r"\\.\pipe\crash"));
        for wrong in ["", r"\\.\pipe\", r"\\server\pipe\x", r"C:\file", "a/b", r"\\.\pipe\a\b", "a\0b"] {
            assert_eq!(whole(wrong), None, "{wrong:?}");
        }
        assert_eq!(whole(&"x".repeat(LONGEST)), None);
    }

    #[test]
    fn a_random_name_holds_all_of_its_bytes() {
        let name = of_random(*b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\xff");
        assert_eq!(name, r"\\.\pipe\minidump-writer-000102030405060708090a0b0c0d0eff");
    }
}
