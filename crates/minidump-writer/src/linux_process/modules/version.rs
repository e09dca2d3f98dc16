use minidump_snapshot::FileVersion;

/// The version that the file name or the SONAME of a shared object tells; the one with more parts counts, and the
/// file name when both have as many.
///
/// Known forms are `libstdc++.so.6.0.30` and `libfoo-1.2.so`. A single number behind a dash is no version: the 8 of
/// `libpcre2-8.so` is a width.
#[must_use]
pub fn find(path: &[u8], soname: Option<&str>) -> Option<FileVersion> {
    let file_name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let from_file = parts(file_name);
    let from_soname = soname.and_then(|name| parts(name.as_bytes()));
    let best = match (from_file, from_soname) {
        (Some(file), Some(soname)) if soname.len() > file.len() => soname,
        (Some(file), _) => file,
        (None, soname) => soname?,
    };
    let part = |index: usize| best.get(index).copied().unwrap_or(0);
    Some(FileVersion { major: part(0), minor: part(1), patch: part(2), build: part(3) })
}

/// The one to four numbers of the version in a file name.
fn parts(name: &[u8]) -> Option<Vec<u32>> {
    const INFIX: &[u8] = b".so.";
    let behind = name.windows(INFIX.len()).rposition(|window| window == INFIX);
    if let Some(parts) = behind.and_then(|at| name.get(at + INFIX.len()..)).and_then(numbers) {
        return Some(parts);
    }
    let stem = name.strip_suffix(b".so")?;
    let dash = stem.iter().rposition(|byte| *byte == b'-')?;
    let tail = stem.get(dash + 1..)?;
    let numeric = tail.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    numbers(tail).filter(|parts| numeric && parts.len() > 1)
}

/// Numbers separated by dots, at most four. In `2rc5` the letters separate too and end the version.
fn numbers(text: &[u8]) -> Option<Vec<u32>> {
    let mut parts = Vec::new();
    for field in text.split(|byte| *byte == b'.') {
        let digits = field.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, suffix) = field.split_at_checked(digits)?;
        let Some(value) = number_of(number) else { break };
        parts.push(value);
        if !suffix.is_empty() {
            let letters = suffix.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
            parts.extend(suffix.get(letters..).and_then(number_of));
            break;
        }
    }
    parts.truncate(4);
    (!parts.is_empty()).then_some(parts)
}

fn number_of(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(path: &str, soname: Option<&str>) -> Option<[u32; 4]> {
        find(path.as_bytes(), soname)
            .map(|version| [version.major, version.minor, version.patch, version.build])
    }

    #[test]
    fn versions_come_from_the_file_name() {
        let cases: [(&str, Option<[u32; 4]>); 18] = [
            ("/usr/lib/libstdc++.so.6.0.30", Some([6, 0, 30, 0])),
            ("/lib/libc.so.6", Some([6, 0, 0, 0])),
            ("/lib/libfoo-1.2.so", Some([1, 2, 0, 0])),
            ("/lib/libfoo-1.2.3.4.5.so", Some([1, 2, 3, 4])),
            ("/lib/ld-2.31.so", Some([2, 31, 0, 0])),
            ("libgtk-3.so.0.2404.29", Some([0, 2404, 29, 0])),
            ("libdbus-1.so.3.34.2rc5", Some([3, 34, 2, 5])),
            ("libx.so.1.2beta", Some([1, 2, 0, 0])),
            ("libpython3.11.so.1.0", Some([1, 0, 0, 0])),
            ("libpcre2-8.so", None),
            ("libfoo-bar1.2.so", None),
            ("libfoo-1.2rc1.so", None),
            ("libc.so", None),
            ("libc.so.", None),
            ("libc.so.x", None),
            ("/lib.so.7/program", None),
            ("libbig.so.99999999999.1", None),
            ("libbig.so.4294967295.99999999999.1", Some([u32::MAX, 0, 0, 0])),
        ];
        for (path, expected) in cases {
            assert_eq!(version(path, None), expected, "{path}");
        }
    }

    #[test]
    fn the_more_specific_of_file_name_and_soname_counts() {
        assert_eq!(version("/lib/libstdc++.so.6.0.30", Some("libstdc++.so.6")), Some([6, 0, 30, 0]));
        assert_eq!(version("/apk/base.apk", Some("libfoo.so.1.2")), Some([1, 2, 0, 0]));
        assert_eq!(version("/lib/libfoo.so.1", Some("libfoo.so.1.5")), Some([1, 5, 0, 0]));
        assert_eq!(version("/lib/libfoo.so.1", Some("libfoo.so.2")), Some([1, 0, 0, 0]));
        assert_eq!(version("/bin/program", Some("program")), None);
    }

    proptest! {
        #[test]
        fn any_names_are_survived(path in proptest::collection::vec(any::<u8>(), 0..60), soname in ".{0,30}") {
            let _ = find(&path, Some(&soname));
        }

        #[test]
        fn versions_that_were_written_are_read(parts in proptest::collection::vec(any::<u32>(), 1..5)) {
            let text: Vec<String> = parts.iter().map(ToString::to_string).collect();
            let mut padded = parts;
            padded.resize(4, 0);
            let read = version(&format!("/x/lib y.so.{}", text.join(".")), None);
            prop_assert_eq!(read.map(Vec::from), Some(padded));
        }
    }
}
