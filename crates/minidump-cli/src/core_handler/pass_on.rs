//! Hands a core on, byte for byte: to another program as the kernel would have started it, or to a file.

use super::capture::Core;
use super::crash::Crash;
use super::expand;
use minidump_writer::output::DumpFile;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Seek as _, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes handed on at a time.
const BLOCK: usize = 256 << 10;

/// Refuses what a core cannot be handed on to.
///
/// # Errors
/// Why, and the way out.
pub fn check(pattern: &str) -> Result<(), String> {
    let is_absolute = pattern.strip_prefix('|').unwrap_or(pattern).starts_with('/');
    if is_absolute && !pattern.contains('\0') {
        return Ok(());
    }
    Err(format!(
        "cores cannot be handed on to {pattern:?}, which names neither a program nor a file by an absolute path; give \
         --pass-to a |/program or a /file"
    ))
}

/// Hands the core on. What was read of it comes first, then what still arrives.
///
/// # Errors
/// What failed, in a sentence.
pub fn run(pattern: &str, crash: &Crash, core: &mut Core) -> Result<(), String> {
    check(pattern)?;
    core.read.rewind().map_err(|error| format!("the core cannot be read again: {error}"))?;
    match pattern.strip_prefix('|') {
        Some(command) => {
            let words = expand::words(command, crash).into_iter().map(OsString::from_vec).collect::<Vec<_>>();
            to_program(&words, core)
        }
        None => to_file(&file_path(pattern, crash), core),
    }
}

fn to_program(words: &[OsString], core: &mut Core) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Err("there is no program".into()) };
    let shown = Path::new(program).display();
    // As the kernel does: no environment, and in the root directory.
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/").stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{shown} cannot be started: {error}"))?;
    let written = child.stdin.take().map_or(Ok(()), |mut input| copy(core, &mut input));
    let status = child.wait().map_err(|error| format!("{shown} cannot be waited for: {error}"))?;
    match written {
        // It need not read to the end.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("the core could not be handed on to {shown}: {error}"))
        }
        _ if status.success() => Ok(()),
        _ => Err(format!("{shown}, which the core was handed on to, failed: {status}")),
    }
}

/// The name of a file, which gets the process' id as the kernel would do it.
fn file_path(pattern: &str, crash: &Crash) -> PathBuf {
    let mut name = expand::name(pattern, crash);
    let uses_pid = fs::read("/proc/sys/kernel/core_uses_pid").is_ok_and(|text| text.trim_ascii_end() == b"1");
    if uses_pid && !pattern.contains("%p") && !pattern.contains("%P") {
        name.extend(format!(".{}", crash.pid).bytes());
    }
    PathBuf::from(OsStr::from_bytes(&name))
}

fn to_file(path: &Path, core: &mut Core) -> Result<(), String> {
    let shown = path.display();
    // The kernel does not follow one either: it could lead root anywhere.
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(format!("the core was not written to {shown}, which is no regular file"));
    }
    let failed = |error: io::Error| format!("the core could not be written to {shown}: {error}");
    let mut file = DumpFile::create(path).map_err(|error| error.to_string())?;
    copy(core, &mut file).map_err(failed)?;
    file.commit().map_err(|error| error.to_string())
}

fn copy(core: &mut Core, to: &mut dyn Write) -> io::Result<()> {
    for from in [&mut core.read, &mut core.rest] {
        copy_file(from, to)?;
    }
    to.flush()
}

/// As `io::copy`, in larger blocks.
fn copy_file(from: &mut File, to: &mut dyn Write) -> io::Result<()> {
    let mut buffered = io::BufReader::with_capacity(BLOCK, from);
    io::copy(&mut buffered, to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::crash::tests::crash;
    use super::*;

    fn core(read: &[u8], rest: &[u8]) -> Core {
        let file = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            file.rewind().unwrap();
            file
        };
        Core { read: file(read), rest: file(rest) }
    }

    #[test]
    fn a_file_gets_every_byte_and_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let pattern = format!("{}/core.%f.%P", place.path().display());
        run(&pattern, &crash("!opt!my app"), &mut core(b"begin", b" and end")).unwrap();
        let path = fs::read_dir(place.path()).unwrap().next().unwrap().unwrap().path();
        assert!(path.to_str().unwrap().contains("/core.my app.2147483000"), "{}", path.display());
        assert_eq!(fs::read(&path).unwrap(), b"begin and end");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let (victim, link) = (place.path().join("victim"), place.path().join("core.%P"));
        fs::write(&victim, b"precious").unwrap();
        std::os::unix::fs::symlink(&victim, place.path().join("core.2147483000")).unwrap();
        let error = run(link.to_str().unwrap(), &crash("!x"), &mut core(b"core", b"")).unwrap_err();
        assert!(error.contains("is no regular file"), "{error}");
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn a_program_gets_its_words_and_every_byte() {
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("helper");
        let text =
            format!("#!/bin/sh\necho \"$#|$2\" >'{0}/words'\n/bin/cat >'{0}/core'\n", place.path().display());
        let mut file = File::create(&script).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        drop(file);
        let pattern = format!("|/bin/sh {} %P %f", script.display());
        run(&pattern, &crash("!opt!my app"), &mut core(&vec![7; 100_000], &vec![9; 300_000])).unwrap();
        assert_eq!(fs::read_to_string(place.path().join("words")).unwrap(), "2|my app\n");
        let expected = [vec![7; 100_000], vec![9; 300_000]].concat();
        assert!(fs::read(place.path().join("core")).unwrap() == expected);
    }

    #[test]
    fn a_program_may_stop_reading_but_not_fail() {
        let big = || core(&vec![7; 1 << 20], b"");
        run("|/bin/true", &crash("!x"), &mut big()).unwrap();
        assert!(
            run("|/bin/false", &crash("!x"), &mut big()).unwrap_err().contains("/bin/false, which the core")
        );
        assert!(run("|/nowhere/at/all", &crash("!x"), &mut big()).unwrap_err().contains("cannot be started"));
        assert!(run("core", &crash("!x"), &mut big()).unwrap_err().contains("absolute path"));
    }
}
