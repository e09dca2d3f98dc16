//! The name of a dump file for which none was given.

use minidump_writer::Pid;
use std::path::PathBuf;

/// Longest process name used, in characters. Linux keeps 15 bytes (proc(5), /proc/PID/comm).
const LONGEST_NAME: usize = 64;

/// `NAME-PID.EXTENSION`, or `process-PID.EXTENSION` when the process has no usable name.
pub fn default_path(pid: Pid, extension: &str) -> PathBuf {
    PathBuf::from(file_name(&name_of(pid), pid, extension))
}

#[cfg(not(windows))]
fn name_of(pid: Pid) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// That of the file of its program, without `.exe`.
#[cfg(windows)]
fn name_of(pid: Pid) -> Vec<u8> {
    let program = u32::try_from(pid).ok().and_then(minidump_handler::supervisor::executable_of);
    let name = program.as_deref().and_then(std::path::Path::file_stem);
    name.map(|name| name.to_string_lossy().into_owned().into_bytes()).unwrap_or_default()
}

fn file_name(name: &[u8], pid: Pid, extension: &str) -> String {
    let text = String::from_utf8_lossy(name);
    let sane: String = text.trim().chars().take(LONGEST_NAME).map(sane).collect();
    // A leading dot would hide the file, a leading dash would make it an option of other programs.
    let sane = sane.trim_matches(['.', '-', '_']);
    let name = if sane.is_empty() { "process" } else { sane };
    format!("{name}-{pid}.{extension}")
}

fn sane(character: char) -> char {
    if character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_') { character } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe_for_file_systems_and_shells() {
        for (name, expected) in [
            (b"sleep\n".as_slice(), "sleep-7.dmp"),
            (b"kworker/0:1", "kworker_0_1-7.dmp"),
            (b"Web Content", "Web_Content-7.dmp"),
            (b"../../etc/x", "etc_x-7.dmp"),
            (b"-rf", "rf-7.dmp"),
            (b"\x1b[31m\xff\n", "31m-7.dmp"),
            (b"(sd-pam)", "sd-pam-7.dmp"),
            (b"...", "process-7.dmp"),
            (b"", "process-7.dmp"),
        ] {
            assert_eq!(file_name(name, 7, "dmp"), expected);
        }
    }

    #[test]
    fn a_process_that_does_not_exist_still_gives_a_name() {
        assert_eq!(default_path(Pid::MAX, "core.zst"), PathBuf::from("process-2147483647.core.zst"));
    }
}
