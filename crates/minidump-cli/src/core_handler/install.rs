//! `--install` and `--uninstall`.

use super::pass_on;
use super::pattern::Pattern;
use super::socket::{self, Found};
use super::state::{State, check_private, check_way};
use super::sysctl::{CORE_PATTERN, CORE_PIPE_LIMIT, SUID_DUMPABLE, Sysctl};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Helpers that may run at a time. The kernel drops the core of every further crash, so this is a limit against a fork
/// bomb and not against many crashes; and only above 0 does a process wait for its helper.
pub const PIPE_LIMIT: &str = "1024";
/// Programs that changed their user are dumped for root alone (core(5)), not at all, or for anybody: then they are left so.
const FOR_ROOT: &str = "2";
const NOT_AT_ALL: &str = "0";
/// The value of `--pass-to` for what was set before.
const PREVIOUS: &str = "previous";

/// Makes the kernel start this program for every crash. Returns what to tell.
///
/// # Errors
/// Why not, in a sentence; then nothing has changed.
pub fn install(sysctl: &Sysctl, directory: &Path, pass_to: Option<&str>) -> Result<String, String> {
    require_root("--install")?;
    let program = this_program()?;
    let directory = prepared(directory)?;
    install_as(sysctl, &Pattern::Program { program, directory }, pass_to)
}

/// Makes the kernel send every core to the socket at `path`. Returns what to tell.
///
/// # Errors
/// Why not, in a sentence; then nothing has changed.
pub fn install_socket(sysctl: &Sysctl, path: &Path, pass_to: Option<&str>) -> Result<String, String> {
    require_root("--install")?;
    if !socket::is_supported() {
        return Err(socket::MISSING.into());
    }
    socket::check(path)?;
    let path = without_links(path)?;
    check_private(path.parent().unwrap_or(Path::new("/")))?;
    check_way(&path)?;
    if socket::look(&path) != Found::Served {
        let shown = path.display();
        return Err(format!(
            "nobody listens at {shown}, and every crash would be lost; start core-handler --listen {shown} first"
        ));
    }
    let with = |asks| install_as(sysctl, &Pattern::Socket { path: path.clone(), asks }, pass_to);
    // Linux 6.16 does not take the form in which it asks.
    with(true).or_else(|_| with(false))
}

/// The path of a socket without symbolic links, which the kernel does not follow on its way there.
///
/// # Errors
/// When there is no such folder, in a sentence.
pub fn without_links(path: &Path) -> Result<PathBuf, String> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path.to_path_buf()) };
    let failed = |error| format!("{} cannot be used: {error}; choose another place", folder.display());
    let folder = folder.canonicalize().map_err(failed)?;
    Ok(folder.join(name))
}

fn install_as(sysctl: &Sysctl, pattern: &Pattern, pass_to: Option<&str>) -> Result<String, String> {
    let text = pattern.text()?;
    let present = get(sysctl)?;
    let replaced = Pattern::present(&present);
    let mut state = match &replaced {
        Some(ours) => State::load(&ours.state_file())?,
        None => State {
            core_pipe_limit: None,
            core_pattern: present.clone(),
            suid_dumpable: sysctl.get(SUID_DUMPABLE).ok().filter(|value| value == NOT_AT_ALL),
            pass_to: None,
        },
    };
    if pattern.needs_limit() && state.core_pipe_limit.is_none() {
        state.core_pipe_limit = sysctl.get(CORE_PIPE_LIMIT).ok();
    }
    state.pass_to = match pass_to {
        Some(PREVIOUS) => Some(state.core_pattern.clone()),
        other => other.map(str::to_owned),
    };
    state.pass_to.as_deref().map_or(Ok(()), pass_on::check)?;
    state.save(&pattern.state_file())?;
    if pattern.needs_limit() && state.core_pipe_limit.is_some() {
        sysctl.set(CORE_PIPE_LIMIT, PIPE_LIMIT)?;
    }
    if let Err(error) = sysctl.set(CORE_PATTERN, &text) {
        let _ = sysctl.set(CORE_PATTERN, &present);
        // What is in use stays.
        if replaced.is_none_or(|old| old.state_file() != pattern.state_file()) {
            State::remove(&pattern.state_file());
        }
        return Err(error);
    }
    // Last: with another pattern it would mean something else.
    if state.suid_dumpable.is_some() {
        sysctl.set(SUID_DUMPABLE, FOR_ROOT)?;
    }
    if let Some(old) = replaced.filter(|old| old.state_file() != pattern.state_file()) {
        State::remove(&old.state_file());
    }
    let place = match pattern {
        Pattern::Program { directory, .. } => format!("is dumped to {}", directory.display()),
        Pattern::Socket { path, .. } => format!("goes to {}", path.display()),
    };
    Ok(format!("every crash on this machine {place} from now on, until the next boot"))
}

/// Sets again what was set before. Returns what to tell.
///
/// # Errors
/// Why not, in a sentence.
pub fn uninstall(sysctl: &Sysctl) -> Result<String, String> {
    require_root("--uninstall")?;
    set_back(sysctl)
}

fn set_back(sysctl: &Sysctl) -> Result<String, String> {
    let present = get(sysctl)?;
    let Some(ours) = Pattern::present(&present) else {
        return Err(format!(
            "kernel.core_pattern is {present:?}, which is not this program's; it was left as it is"
        ));
    };
    let state = State::load(&ours.state_file()).map_err(|error| {
        format!("what was set before is not known: {error}; set it with sysctl kernel.core_pattern=core")
    })?;
    if let Some(value) = &state.suid_dumpable {
        sysctl.set(SUID_DUMPABLE, value)?;
    }
    sysctl.set(CORE_PATTERN, &state.core_pattern)?;
    if let Some(limit) = &state.core_pipe_limit {
        sysctl.set(CORE_PIPE_LIMIT, limit)?;
    }
    State::remove(&ours.state_file());
    Ok(format!("kernel.core_pattern is {:?} again", state.core_pattern))
}

fn get(sysctl: &Sysctl) -> Result<String, String> {
    sysctl.get(CORE_PATTERN).map_err(|error| format!("kernel.core_pattern cannot be read: {error}"))
}

fn require_root(option: &str) -> Result<(), String> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0);
    if is_root { Ok(()) } else { Err(format!("{option} changes settings of the kernel; run it as root")) }
}

fn this_program() -> Result<PathBuf, String> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| format!("this program does not know its own path: {error}"))?;
    if !program.is_file() {
        let sentence = "has been replaced or removed; run the new one";
        return Err(format!("{} {sentence}", program.display()));
    }
    Ok(program)
}

/// Makes the directory, or looks whether it can be used as it is.
///
/// # Errors
/// Why not, in a sentence.
pub fn prepared(directory: &Path) -> Result<PathBuf, String> {
    if !directory.is_absolute() {
        let sentence = "is no absolute path, and the kernel starts programs in /; give one";
        return Err(format!("{} {sentence}", directory.display()));
    }
    let failed = |error| format!("{} cannot be used: {error}", directory.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let directory = directory.canonicalize().map_err(failed)?;
    check_private(&directory)?;
    check_way(&directory)?;
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// A machine with other settings, and two directories for dumps.
    fn machine(place: &Path) -> (Sysctl, [Pattern; 2]) {
        let sysctl = Sysctl::below(&place.join("sys"));
        sysctl.set(CORE_PATTERN, "|/usr/lib/other  %P %s ").unwrap();
        sysctl.set(CORE_PIPE_LIMIT, "7").unwrap();
        sysctl.set(SUID_DUMPABLE, NOT_AT_ALL).unwrap();
        let pattern = |name: &str| {
            let directory = prepared(&place.join(name)).unwrap();
            Pattern::Program { program: "/usr/bin/minidump-writer".into(), directory }
        };
        let patterns = [pattern("one"), pattern("two")];
        (sysctl, patterns)
    }

    fn values(sysctl: &Sysctl) -> [String; 3] {
        [CORE_PATTERN, CORE_PIPE_LIMIT, SUID_DUMPABLE].map(|name| sysctl.get(name).unwrap())
    }

    #[test]
    fn what_was_there_comes_back_exactly_however_often_and_where_it_was_installed() {
        let place = tempfile::tempdir().unwrap();
        let (sysctl, [one, two]) = machine(place.path());
        let before = values(&sysctl);
        for pattern in [&one, &one, &two] {
            install_as(&sysctl, pattern, None).unwrap();
            assert_eq!(values(&sysctl), [pattern.text().unwrap(), PIPE_LIMIT.into(), FOR_ROOT.into()]);
        }
        assert!(State::load(&one.state_file()).is_err(), "the state has moved");
        let told = set_back(&sysctl).unwrap();
        assert!(told.contains("|/usr/lib/other  %P %s "), "{told}");
        assert_eq!(values(&sysctl), before);
        assert!(set_back(&sysctl).unwrap_err().contains("not this program's"));
        assert_eq!(values(&sysctl), before);
    }

    #[test]
    fn a_socket_that_asks_leaves_the_limit_alone_and_either_form_can_replace_the_other() {
        let place = tempfile::tempdir().unwrap();
        let (sysctl, [one, _]) = machine(place.path());
        let before = values(&sysctl);
        let socket = |asks| Pattern::Socket { path: place.path().join("core.sock"), asks };
        let limit = || sysctl.get(CORE_PIPE_LIMIT).unwrap();
        install_as(&sysctl, &socket(true), None).unwrap();
        assert_eq!(values(&sysctl), [socket(true).text().unwrap(), before[1].clone(), FOR_ROOT.into()]);
        for (pattern, expected) in
            [(&one, PIPE_LIMIT), (&socket(true), PIPE_LIMIT), (&socket(false), PIPE_LIMIT)]
        {
            install_as(&sysctl, pattern, None).unwrap();
            assert_eq!(
                (sysctl.get(CORE_PATTERN).unwrap(), limit()),
                (pattern.text().unwrap(), expected.into())
            );
        }
        set_back(&sysctl).unwrap();
        assert_eq!(values(&sysctl), before);
        assert!(!socket(true).state_file().exists() && !one.state_file().exists());
        install_as(&sysctl, &socket(true), None).unwrap();
        set_back(&sysctl).unwrap();
        assert_eq!(values(&sysctl), before);
    }

    #[test]
    fn a_socket_of_others_is_somebody_elses() {
        let place = tempfile::tempdir().unwrap();
        let (sysctl, [one, _]) = machine(place.path());
        let others = format!("@@{}/others.sock", place.path().display());
        sysctl.set(CORE_PATTERN, &others).unwrap();
        assert!(set_back(&sysctl).unwrap_err().contains("not this program's"));
        install_as(&sysctl, &one, None).unwrap();
        set_back(&sysctl).unwrap();
        assert_eq!(sysctl.get(CORE_PATTERN).unwrap(), others);
    }

    #[test]
    fn cores_are_handed_on_to_what_was_there_or_to_what_is_named() {
        let place = tempfile::tempdir().unwrap();
        let (sysctl, [one, _]) = machine(place.path());
        let pass_to = |given: Option<&str>| {
            install_as(&sysctl, &one, given).unwrap();
            State::load(&one.state_file()).unwrap().pass_to
        };
        assert_eq!(pass_to(Some("previous")).unwrap(), "|/usr/lib/other  %P %s ");
        assert_eq!(pass_to(Some("/var/cores/%P")).unwrap(), "/var/cores/%P");
        assert_eq!(pass_to(None), None);
    }

    #[test]
    fn what_cannot_be_handed_on_to_changes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let (sysctl, [one, _]) = machine(place.path());
        sysctl.set(CORE_PATTERN, "core").unwrap();
        let before = values(&sysctl);
        assert!(install_as(&sysctl, &one, Some("previous")).unwrap_err().contains("\"core\""));
        assert_eq!(values(&sysctl), before);
    }

    #[test]
    fn what_dumps_for_anybody_stays_so() {
        let place = tempfile::tempdir().unwrap();
        let (sysctl, [one, _]) = machine(place.path());
        sysctl.set(SUID_DUMPABLE, "1").unwrap();
        install_as(&sysctl, &one, None).unwrap();
        assert_eq!(sysctl.get(SUID_DUMPABLE).unwrap(), "1");
        set_back(&sysctl).unwrap();
        assert_eq!(sysctl.get(SUID_DUMPABLE).unwrap(), "1");
    }

    #[test]
    fn a_kernel_without_a_limit_gets_none() {
        let place = tempfile::tempdir().unwrap();
        let (sysctl, [one, _]) = machine(place.path());
        fs::remove_file(place.path().join("sys").join(CORE_PIPE_LIMIT)).unwrap();
        install_as(&sysctl, &one, None).unwrap();
        set_back(&sysctl).unwrap();
        assert!(sysctl.get(CORE_PIPE_LIMIT).is_err());
    }

    #[test]
    fn a_directory_is_made_private_and_one_of_others_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&prepared(&place.path().join("a/b")).unwrap()), 0o700);
        let open = place.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(prepared(&open).unwrap_err().contains("chmod go-w"));
        assert!(prepared(Path::new("relative")).unwrap_err().contains("no absolute path"));
    }
}
