//! The value of `kernel.core_pattern` that starts this program.

use std::path::{Path, PathBuf};

/// What the kernel is to tell of a crash, by the letters of core(5): process and thread as the first namespace counts them,
/// signal, seconds since 1970, dump mode, user, group, limit of the core's size, path of the executable.
pub const SPECIFIERS: [u8; 9] = *b"PIstdugcE";
/// Longest value in bytes: `CORENAME_MAX_SIZE` (<linux/binfmts.h>) less the terminator. The kernel cuts longer ones.
pub const LONGEST: usize = 127;
const COMMAND: &str = "core-handler";

/// A value that starts this program, or another copy of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The program.
    pub program: PathBuf,
    /// Where its dumps go.
    pub directory: PathBuf,
}

impl Pattern {
    /// The value.
    ///
    /// # Errors
    /// When the kernel could not take it, in a sentence with the way out.
    pub fn text(&self) -> Result<String, String> {
        let (program, directory) = (word(&self.program)?, word(&self.directory)?);
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

    /// Understands such a value; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        let (program, rest) = text.strip_prefix('|')?.split_once(' ')?;
        let (directory, told) = rest.strip_prefix(COMMAND)?.strip_prefix(' ')?.split_once(" -- ")?;
        let plain = |word: &str| PathBuf::from(word.replace("%%", "%"));
        (told == specifiers() && !directory.contains(' '))
            .then(|| Self { program: plain(program), directory: plain(directory) })
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
        Pattern { program: program.into(), directory: directory.into() }
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
