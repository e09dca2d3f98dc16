//! `--status`: what is set, and what would lose crashes.

use super::pattern::Pattern;
use super::socket::{self, Found};
use super::state::{State, check_private};
use super::sysctl::{CORE_PATTERN, CORE_PIPE_LIMIT, SUID_DUMPABLE, Sysctl};
use crate::exit::Failure;
use crate::text;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Crashes at a time above which a limit is no warning.
const ENOUGH: u64 = 64;

/// What is set.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    core_pattern: Option<String>,
    core_pipe_limit: Option<String>,
    suid_dumpable: Option<String>,
    /// The kernel starts this program, or another copy of it, or connects to a socket that it was set to.
    ours: bool,
    program: Option<PathBuf>,
    directory: Option<PathBuf>,
    socket: Option<PathBuf>,
    /// What was set before.
    previous_core_pattern: Option<String>,
    previous_core_pipe_limit: Option<String>,
    pass_to: Option<String>,
    warnings: Vec<String>,
}

/// Prints it.
pub fn run(sysctl: &Sysctl, json: bool) -> Result<(), Failure> {
    let status = Status::read(sysctl);
    let shown = if json {
        let line =
            text::json(&status).map_err(|error| Failure::Failed(format!("{error}; leave out --json")))?;
        line + "\n"
    } else {
        status.shown()
    };
    text::print(&shown).map_err(|error| Failure::of_output(&error))
}

impl Status {
    fn read(sysctl: &Sysctl) -> Self {
        let core_pattern = sysctl.get(CORE_PATTERN).ok();
        let ours = core_pattern.as_deref().and_then(Pattern::present);
        let state = ours.as_ref().map(|ours| State::load(&ours.state_file()));
        let needs_limit = ours.as_ref().is_some_and(Pattern::needs_limit);
        let is_ours = ours.is_some();
        let (program, directory, socket) = match ours {
            Some(Pattern::Program { program, directory }) => (Some(program), Some(directory), None),
            Some(Pattern::Socket { path, .. }) => (None, None, Some(path)),
            None => (None, None, None),
        };
        let mut status = Self {
            core_pattern,
            core_pipe_limit: sysctl.get(CORE_PIPE_LIMIT).ok(),
            suid_dumpable: sysctl.get(SUID_DUMPABLE).ok(),
            ours: is_ours,
            program,
            directory,
            socket,
            previous_core_pattern: None,
            previous_core_pipe_limit: None,
            pass_to: None,
            warnings: Vec::new(),
        };
        match state {
            Some(Ok(state)) => {
                status.previous_core_pattern = Some(state.core_pattern);
                status.previous_core_pipe_limit = state.core_pipe_limit;
                status.pass_to = state.pass_to;
            }
            // Only root may look into the directory.
            Some(Err(error)) => status.warnings.push(format!("what was set before is not known: {error}")),
            None => {}
        }
        status.warn(needs_limit);
        status
    }

    /// Finds what would lose crashes.
    fn warn(&mut self, needs_limit: bool) {
        let mut warnings = Vec::new();
        if !self.ours {
            warnings.push("crashes do not come here; core-handler --install DIR sets that up".to_owned());
        }
        if let (true, Some(limit)) = (needs_limit, self.core_pipe_limit.as_deref()) {
            warnings.extend(about_limit(limit, self.socket.is_some()));
        }
        if self.suid_dumpable.as_deref() == Some("0") {
            let warning = "programs that changed their user are not dumped at all; sysctl fs.suid_dumpable=2 makes the \
                           kernel hand them to root's handlers";
            warnings.push(warning.to_owned());
        }
        warnings.extend(self.program.as_deref().and_then(about_program));
        warnings.extend(self.socket.as_deref().and_then(about_socket));
        warnings.extend(self.directory.as_deref().and_then(|directory| check_private(directory).err()));
        self.warnings.extend(warnings);
    }

    fn shown(&self) -> String {
        let mut lines = String::new();
        let mut line = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = writeln!(lines, "{name:<24} {}", text::escape(value));
            }
        };
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
        line("kernel.core_pattern", self.core_pattern.as_deref());
        line("kernel.core_pipe_limit", self.core_pipe_limit.as_deref());
        line("fs.suid_dumpable", self.suid_dumpable.as_deref());
        line("installed", Some(if self.ours { "yes" } else { "no" }));
        line("program", path(&self.program).as_deref());
        line("dumps go to", path(&self.directory).as_deref());
        line("cores go to", path(&self.socket).as_deref());
        line("cores are passed on to", self.pass_to.as_deref());
        line("core_pattern before", self.previous_core_pattern.as_deref());
        line("core_pipe_limit before", self.previous_core_pipe_limit.as_deref());
        for warning in &self.warnings {
            line("warning", Some(warning));
        }
        if self.program.is_some() {
            line(
                "note",
                Some("a process with a core limit (ulimit -c) of 1 byte is never dumped; one of 0 is"),
            );
        }
        lines
    }
}

fn about_limit(limit: &str, is_socket: bool) -> Option<String> {
    let limit: u64 = limit.trim().parse().ok()?;
    match limit {
        0 => Some(
            "no crashed process waits for its dump, which then lacks what only /proc tells; sysctl \
             kernel.core_pipe_limit=1024 makes it wait"
                .into(),
        ),
        1..ENOUGH if !is_socket => Some(format!(
            "of more than {limit} crashes at a time the kernel drops the rest; sysctl kernel.core_pipe_limit=1024 \
             raises that"
        )),
        _ => None,
    }
}

fn about_socket(path: &Path) -> Option<String> {
    let shown = path.display();
    match socket::look(path) {
        Found::Served => check_private(path).err(),
        Found::Deserted => Some(format!(
            "nobody listens at {shown}: every crash is lost; start core-handler --listen {shown}"
        )),
        Found::Unknown => None,
    }
}

fn about_program(program: &Path) -> Option<String> {
    let executable =
        fs::metadata(program).map(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if !program.is_absolute() {
        return Some(format!("{} is no absolute path: the kernel cannot start it", program.display()));
    }
    match executable {
        // The kernel starts it as root.
        Ok(true) => check_private(program).err(),
        Ok(false) => Some(format!("{} is not executable: every crash is lost", program.display())),
        Err(error) => Some(format!("{}: {error}: every crash is lost", program.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(place: &Path, pattern: &str, limit: &str) -> Status {
        let sysctl = Sysctl::below(place);
        sysctl.set(CORE_PATTERN, pattern).unwrap();
        sysctl.set(CORE_PIPE_LIMIT, limit).unwrap();
        sysctl.set(SUID_DUMPABLE, "2").unwrap();
        Status::read(&sysctl)
    }

    #[test]
    fn a_handler_of_others_is_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let status = status(place.path(), "core", "0");
        assert!(!status.ours && status.program.is_none());
        assert_eq!(status.warnings, ["crashes do not come here; core-handler --install DIR sets that up"]);
        assert!(status.shown().contains("installed                no\n"), "{}", status.shown());
    }

    #[test]
    fn a_socket_that_nobody_serves_is_told() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("core.sock");
        let before =
            State { core_pattern: "core".into(), core_pipe_limit: None, suid_dumpable: None, pass_to: None };
        before.save(&socket::state_file(&path)).unwrap();
        let found = status(place.path(), &format!("@@{}", path.display()), "0");
        assert!(found.ours && found.warnings.len() == 1, "the limit does not matter: {:?}", found.warnings);
        assert!(found.warnings[0].contains("nobody listens at"));
        assert_eq!(
            (found.socket.as_deref(), found.previous_core_pattern.as_deref()),
            (Some(&*path), Some("core"))
        );
        let found = status(place.path(), &format!("@{}", path.display()), "0");
        assert!(found.warnings[0].contains("no crashed process waits"), "{:?}", found.warnings);
        let found = status(place.path(), "@@/run/of-others.sock", "0");
        assert!(!found.ours && found.socket.is_none());
    }

    #[test]
    fn what_would_lose_crashes_is_told() {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join("program");
        let pattern =
            Pattern::Program { program: program.clone(), directory: place.path().into() }.text().unwrap();
        let state =
            State { core_pattern: "core".into(), core_pipe_limit: None, suid_dumpable: None, pass_to: None };
        state.save(&super::super::state::file_in(place.path())).unwrap();
        let warnings = |limit: &str| status(place.path(), &pattern, limit).warnings.join("\n");
        assert!(warnings("1024").contains("every crash is lost"));
        fs::write(&program, "").unwrap();
        assert!(warnings("1024").contains("is not executable"));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(warnings("1024"), "");
        assert!(warnings("0").contains("no crashed process waits"));
        assert!(warnings("4").contains("more than 4 crashes"));
        let found = status(place.path(), &pattern, "4");
        assert_eq!(found.previous_core_pattern.as_deref(), Some("core"));
        fs::write(place.path().join(SUID_DUMPABLE), "0\n").unwrap();
        let found = Status::read(&Sysctl::below(place.path()));
        assert!(found.warnings.iter().any(|warning| warning.contains("fs.suid_dumpable=2")));
    }
}
