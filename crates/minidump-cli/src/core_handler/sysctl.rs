//! Settings of the kernel, below /proc/sys (proc_sys(5)).

use std::fs;
use std::io;
use std::path::PathBuf;

/// What the kernel does with cores.
pub const CORE_PATTERN: &str = "kernel/core_pattern";
/// How many helpers may run at a time, and whether their crashed process waits for them; 0: any number, and it does not.
pub const CORE_PIPE_LIMIT: &str = "kernel/core_pipe_limit";
/// Whether programs that changed their user are dumped.
pub const SUID_DUMPABLE: &str = "fs/suid_dumpable";

/// Settings, by their path below a directory.
#[derive(Debug)]
pub struct Sysctl(PathBuf);

impl Sysctl {
    /// Those of the running kernel.
    pub fn of_this_machine() -> Self {
        Self("/proc/sys".into())
    }

    /// Those in a directory that is made like /proc/sys.
    #[cfg(test)]
    pub fn below(directory: &std::path::Path) -> Self {
        fs::create_dir_all(directory.join("kernel")).unwrap();
        fs::create_dir_all(directory.join("fs")).unwrap();
        Self(directory.to_path_buf())
    }

    /// A value, without the newline.
    ///
    /// # Errors
    /// Those of the file.
    pub fn get(&self, name: &str) -> io::Result<String> {
        let text = fs::read(self.0.join(name))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
    }

    /// Sets a value and looks whether it is set: the kernel cuts without a word what is too long for it.
    ///
    /// # Errors
    /// What failed, as a sentence.
    pub fn set(&self, name: &str, value: &str) -> Result<(), String> {
        let path = self.0.join(name);
        let written = fs::write(&path, format!("{value}\n")).and_then(|()| self.get(name));
        match written {
            Ok(now) if now == value => Ok(()),
            Ok(now) => Err(format!("{} is {now:?} after {value:?} was written to it", path.display())),
            Err(error) => Err(format!("{} cannot be set: {error}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was_set() {
        let place = tempfile::tempdir().unwrap();
        let sysctl = Sysctl::below(place.path());
        sysctl.set(CORE_PATTERN, "|/bin/x  %p ").unwrap();
        assert_eq!(sysctl.get(CORE_PATTERN).unwrap(), "|/bin/x  %p ");
        assert!(sysctl.get(CORE_PIPE_LIMIT).is_err());
        assert!(sysctl.set("no/such", "1").unwrap_err().contains("no/such cannot be set"));
    }
}
