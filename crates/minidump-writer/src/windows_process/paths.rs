//! Which paths of the target may be opened.

/// Whether `path` names a file of a drive or volume by its form. Everything else could make the dumper talk to another
/// machine (which would learn the user's credentials), or open a device or a pipe.
#[must_use]
pub fn is_local(path: &str) -> bool {
    let path = path.replace('/', "\\");
    let rest = [r"\\?\", r"\??\"].iter().find_map(|prefix| path.strip_prefix(prefix));
    let is_volume = path.to_ascii_lowercase().strip_prefix(r"\device\harddiskvolume").is_some_and(|rest| {
        let number = rest.split('\\').next().unwrap_or_default();
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && rest.len() > number.len() + 1
    });
    is_volume || on_drive(rest.unwrap_or(&path))
}

/// Whether `path` begins at the root of a drive, and names no stream of a file.
fn on_drive(path: &str) -> bool {
    let mut characters = path.chars();
    let letter = characters.next().is_some_and(|letter| letter.is_ascii_alphabetic());
    let root = characters.next() == Some(':') && characters.next() == Some('\\');
    letter && root && !characters.as_str().is_empty() && !characters.as_str().contains(':')
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn files_of_drives_and_volumes_are_local() {
        for path in [
            r"C:\Windows\System32\ntdll.dll",
            "c:/windows/system32/ntdll.dll",
            r"\\?\C:\a.dll",
            r"\??\Z:\usr\lib\a.dll",
            r"\Device\HarddiskVolume3\Windows\System32\ntdll.dll",
        ] {
            assert!(is_local(path), "{path}");
        }
    }

    #[test]
    fn other_machines_devices_pipes_and_streams_are_not() {
        for path in [
            "",
            "a.dll",
            r"C:",
            r"C:\",
            r"C:a.dll",
            r"\\server\share\a.dll",
            "//server/share/a.dll",
            r"\\?\UNC\server\share\a.dll",
            r"\??\UNC\server\share\a.dll",
            r"\\.\pipe\a",
            r"\\?\GLOBALROOT\Device\Mup\server\share\a.dll",
            r"\Device\Mup\server\share\a.dll",
            r"\Device\HarddiskVolume3",
            r"\Device\HarddiskVolume\a.dll",
            r"\Device\NamedPipe\a",
            r"C:\a.dll:stream",
        ] {
            assert!(!is_local(path), "{path}");
        }
    }
}
