//! One connection of the kernel: the process behind it, what is agreed on, then the core.

use super::capture::{self, Held};
use super::crash::{Account, Crash};
use super::head;
use super::socket;
use super::state::State;
use super::sysctl::Sysctl;
use super::watch::Watch;
use minidump_handler::coredump_socket::{self, Form, Peer};
use minidump_writer::convert::DyingProcess;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Most threads of a process that are looked through for the one that crashed: Linux has no more.
const MOST_THREADS: usize = 1 << 22;

/// Takes care of the crash whose process is at the other end of the standard input. Returns what failed.
pub fn run(
    sysctl: &Sysctl,
    path: &Path,
    directory: &Path,
    pass_to: Option<&str>,
    deadline: Duration,
) -> Vec<String> {
    let connection = coredump_socket::make_no_core_of_this_process().and_then(|()| connection());
    let found = connection.and_then(|connection| Ok((Peer::of(&connection)?, connection)));
    let (peer, connection) = match found {
        Ok((Some(peer), connection)) => (peer, connection),
        Ok((None, _)) => return vec!["the process that has connected has not crashed".into()],
        Err(error) => return vec![format!("the standard input is no coredump socket: {error}")],
    };
    let watch = Watch::start(deadline, peer.pid.to_string());
    let failures = match coredump_socket::agree(&connection, deadline) {
        Ok(form) => dump(sysctl, path, directory, pass_to, &peer, form, connection),
        Err(error) => vec![format!("process {}: there is no core: {error}", peer.pid)],
    };
    watch.done();
    failures
}

fn connection() -> io::Result<UnixStream> {
    io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from)
}

fn dump(
    sysctl: &Sysctl,
    path: &Path,
    directory: &Path,
    pass_to: Option<&str>,
    peer: &Peer,
    form: Form,
    connection: UnixStream,
) -> Vec<String> {
    // If it has not been reaped by now, what was read is not another process' of the same id.
    let process = DyingProcess::examine(peer.pid).ok().filter(|_| peer.is_there());
    let waits = form == Form::Asked || capture::waits_for_helpers(sysctl);
    let held = if process.is_some() && waits { Held::Yes } else { Held::No };
    let mut core = match capture::receive(directory, File::from(OwnedFd::from(connection)), held) {
        Ok(core) => core,
        Err(failure) => return vec![format!("process {}: {failure}", peer.pid)],
    };
    let crash = crash(peer, head::read(&mut core.read));
    let saved = || State::pass_to(&socket::state_file(path));
    let pass_to = pass_to.map(str::to_owned).or_else(saved);
    let failures = capture::finish(directory, &crash, process, &mut core, pass_to.as_deref());
    failures.into_iter().map(|failure| format!("{}: {failure}", crash.title())).collect()
}

fn crash(peer: &Peer, told: Option<head::Told>) -> Crash {
    let proc = |name: &str| format!("/proc/{}/{name}", peer.pid);
    let read = |name: &str| fs::read_to_string(proc(name)).unwrap_or_default();
    let tid = told.map_or(peer.pid, |told| thread(peer.pid, told.inner_tid));
    let executable = fs::read_link(proc("exe")).map(|path| path.into_os_string().into_encoded_bytes());
    Crash::of(&Account {
        pid: peer.pid,
        tid,
        signal: peer.signal.or(told.map(|told| told.signal)).unwrap_or(0),
        uid: peer.uid,
        gid: peer.gid,
        for_root_alone: peer.for_root_alone,
        core_limit: core_limit(&read("limits")),
        executable: executable.unwrap_or_else(|_| read("comm").trim_end().into()),
    })
}

/// The id here of the thread that its own namespace calls `inner`; `inner` itself when that is not to be found, as in the
/// dump.
fn thread(pid: i32, inner: u32) -> i32 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().take(MOST_THREADS);
    let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let is_it = |tid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        ids.and_then(|ids| ids.split_ascii_whitespace().next_back()?.parse().ok()) == Some(inner)
    };
    let direct = i32::try_from(inner).ok().filter(|tid| *tid > 0);
    let likely = direct.into_iter().chain([pid]);
    likely.chain(ids).find(is_it).or(direct).unwrap_or(pid)
}

/// The soft limit of the core's size (`proc_pid_limits(5)`), in bytes.
fn core_limit(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let soft = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
    soft.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_found_by_its_number_or_taken_by_it() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(thread(own, own.unsigned_abs()), own);
        assert_eq!(thread(own, 2_147_483_000), 2_147_483_000);
        assert_eq!(thread(own, u32::MAX), own);
    }

    #[test]
    fn the_limit_is_the_soft_one() {
        let limits = "Max stack size            8388608              unlimited            bytes\n\
                      Max core file size        4096                 unlimited            bytes\n";
        assert_eq!(core_limit(limits), 4096);
        assert_eq!(
            core_limit("Max core file size        unlimited            unlimited            bytes"),
            u64::MAX
        );
        assert_eq!(core_limit(""), u64::MAX);
    }
}
