//! The values of `kernel.core_pattern` that lead here: one that starts this program, or a socket that it serves.

use super::{socket, state};
use std::path::{Path, PathBuf};

/// What the kernel is to tell of a crash, by the letters of core(5): process and thread as the first namespace counts them,
/// signal, seconds since 1970, dump mode, user, group, limit of the core's size, path of the executable.
pub const SPECIFIERS: [u8; 9] = *b"PIstdugcE";
/// Longest value in bytes: `CORENAME_MAX_SIZE` (<linux/binfmts.h>) less the terminator. The kernel cuts longer ones.
pub const LONGEST: usize = 127;
const COMMAND: &str = "core-handler";

/// A value that leads here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// It starts this program, or another copy of it.
    Program {
        /// The program.
        program: PathBuf,
        /// Where its dumps go.
        directory: PathBuf,
    },
    /// It names a socket. That it is ours is known by the state beside it.
    Socket {
        /// Its path.
        path: PathBuf,
        /// Whether the kernel asks before it sends a core (`@@`), and waits when it is told to.
        asks: bool,
    },
}

impl Pattern {
    /// The value.
    ///
    /// # Errors
    /// When the kernel could not take it, in a sentence with the way out.
    pub fn text(&self) -> Result<String, String> {
        let (program, directory) = match self {
            Self::Program { program, directory } => (word(program)?, word(directory)?),
            // Here the kernel takes every % as it stands.
            Self::Socket { path, asks } => {
                socket::check(path)?;
                return Ok(format!("{}{}", if *asks { "@@" } else { "@" }, path.display()));
            }
        };
        let text = format!("|{program} {COMMAND} {directory} -- {}", specifiers());
        if text.len() > LONGEST {
            let excess = text.len() - LONGEST;
            return Err(format!(
                "kernel.core_pattern takes {LONGEST} bytes; put the program or the dumps under a path that is {excess} \
                 bytes shorter"
            ));
        }
        Ok(text)
    }

    /// Understands such a value; `None` for any other. Any socket is understood, see [`Pattern::present`].
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix('@') {
            let (path, asks) = path.strip_prefix('@').map_or((path, false), |path| (path, true));
            return path.starts_with('/').then(|| Self::Socket { path: path.into(), asks });
        }
        let (program, rest) = text.strip_prefix('|')?.split_once(' ')?;
        let (directory, told) = rest.strip_prefix(COMMAND)?.strip_prefix(' ')?.split_once(" -- ")?;
        let plain = |word: &str| PathBuf::from(word.replace("%%", "%"));
        (told == specifiers() && !directory.contains(' '))
            .then(|| Self::Program { program: plain(program), directory: plain(directory) })
    }

    /// The value `text` if it was set by `--install`, of this program or of another copy.
    pub fn present(text: &str) -> Option<Self> {
        Self::parse(text).filter(|pattern| match pattern {
            Self::Program { .. } => true,
            Self::Socket { .. } => pattern.state_file().exists(),
        })
    }

    /// Where it is kept what was set before.
    pub fn state_file(&self) -> PathBuf {
        match self {
            Self::Program { directory, .. } => state::file_in(directory),
            Self::Socket { path, .. } => socket::state_file(path),
        }
    }

    /// Whether `core_pipe_limit` decides if a crashed process waits.
    pub fn needs_limit(&self) -> bool {
        !matches!(self, Self::Socket { asks: true, .. })
    }
}

fn specifiers() -> String {
    SPECIFIERS.map(|letter| format!("%{}", char::from(letter))).join(" ")
}

/// A path as one word of the value.
fn word(path: &Path) -> Result<String, String> {
    let refused = |why| format!("{} {why}; choose another place for it", path.display());
    let text = path.to_str().ok_or_else(|| refused("is no UTF-8"))?;
    if !path.is_absolute() {
        return Err(refused("is no absolute path, and the kernel starts programs in /"));
    }
    if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err(refused("has a space in it, at which the kernel would cut it"));
    }
    Ok(text.replace('%', "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(program: &str, directory: &str) -> Pattern {
        Pattern::Program { program: program.into(), directory: directory.into() }
    }

    #[test]
    fn a_socket_is_ours_by_the_state_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("100% core.sock");
        for (asks, form) in [(true, "@@"), (false, "@")] {
            let pattern = Pattern::Socket { path: path.clone(), asks };
            let text = pattern.text().unwrap();
            assert_eq!(text, format!("{form}{}", path.display()), "the kernel expands nothing here");
            assert_eq!(Pattern::parse(&text), Some(pattern.clone()));
            assert_eq!(pattern.needs_limit(), !asks);
            let _ = std::fs::remove_file(pattern.state_file());
            assert_eq!(Pattern::present(&text), None);
            std::fs::write(pattern.state_file(), "{}").unwrap();
            assert_eq!(Pattern::present(&text), Some(pattern));
        }
        assert_eq!(Pattern::parse("@relative"), None);
        assert_eq!(Pattern::parse("@@@/x"), None);
    }

    #[test]
    fn a_value_is_what_the_kernel_takes_and_comes_back() {
        let usual = pattern("/usr/bin/minidump-writer", "/var/crash");
        let text = usual.text().unwrap();
        assert_eq!(text, "|/usr/bin/minidump-writer core-handler /var/crash -- %P %I %s %t %d %u %g %c %E");
        assert_eq!(Pattern::parse(&text), Some(usual));
        let percent = pattern("/opt/100%/minidump-writer", "/var/50%P");
        assert!(percent.text().unwrap().contains(" /var/50%%P -- "));
        assert_eq!(Pattern::parse(&percent.text().unwrap()), Some(percent));
    }

    #[test]
    fn values_of_others_are_told_apart() {
        for text in [
            "core",
            "",
            "|",
            "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h",
            "|/usr/bin/minidump-writer core-handler /var/crash -- %P",
            "|/usr/bin/minidump-writer core-handler /var/crash --pass-to x -- %P %I %s %t %d %u %g %c %E",
            "|/usr/bin/minidump-writer core-handler",
            "/usr/bin/minidump-writer core-handler /var/crash -- %P %I %s %t %d %u %g %c %E",
        ] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_the_kernel_would_cut_is_refused() {
        let refused = |program: &str, directory: &str| pattern(program, directory).text().unwrap_err();
        assert!(refused("/a b/x", "/d").contains("has a space"));
        assert!(refused("/x", "d").contains("no absolute path"));
        assert!(refused("/x", "/d\n").contains("has a space"));
        let spare = LONGEST - pattern("/x", "/").text().unwrap().len();
        assert!(pattern("/x", &format!("/{}", "d".repeat(spare))).text().is_ok());
        assert!(refused("/x", &format!("/{}", "d".repeat(spare + 3))).contains("3 bytes shorter"));
    }
}
