//! Who is to be dumped, and whether that is possible: everything that can be refused before anything is stopped.

use super::proc_fs::{Stat, read_text, status_number};
use crate::{Error, Pid};
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

/// PF_KTHREAD, include/linux/sched.h.
const PF_KTHREAD: u64 = 0x0020_0000;

/// A process that exists, has memory, and is traced by nobody.
#[derive(Debug, Clone)]
pub struct Target {
    /// Thread group id.
    pub pid: Pid,
    /// The thread the caller named, when it is not the main one.
    pub named_thread: Option<u32>,
    /// A thread that is alive: the main one, or another when that has exited. Its /proc folder tells of the process.
    pub live_tid: Pid,
    /// The process is a child of this one, so its exit is this program's to reap, not the capture's.
    pub own_child: bool,
    /// The calling thread traces it already.
    is_ours: bool,
    /// /proc/PID/stat.
    pub stat: Stat,
    /// /proc/PID/status, as far as the kernel gives it.
    pub status: Vec<u8>,
}

impl Target {
    /// Looks at `pid`, which may also be the id of a thread.
    ///
    /// # Errors
    /// When it does not exist, has no memory (a kernel thread, a zombie), or is traced already.
    pub fn examine(pid: Pid) -> Result<Self, Error> {
        if pid <= 0 {
            return Err(Error::InvalidPid { pid });
        }
        let status = read_text(format!("/proc/{pid}/status")).map_err(|error| missing(pid, error))?;
        let group = status_number(&status, "Tgid").and_then(|id| Pid::try_from(id).ok()).unwrap_or(pid);
        let stat = Stat::read(format!("/proc/{group}/stat")).map_err(|error| missing(pid, error))?;
        if stat.flags & PF_KTHREAD != 0 {
            return Err(Error::KernelThread { pid, name: String::from_utf8_lossy(&stat.name).into_owned() });
        }
        let own_child = stat.parent == std::process::id();
        let target = Self {
            pid: group,
            named_thread: (group != pid).then(|| u32::try_from(pid).ok()).flatten(),
            live_tid: if has_exited(&stat) {
                live_thread(group).ok_or(Error::Zombie { pid })?
            } else {
                group
            },
            own_child,
            is_ours: false,
            stat,
            status,
        };
        // What was read may be the status of an exited main thread, which has no tracer.
        if target.live_tid == pid {
            target.refuse_if_traced_in(&target.status)
        } else {
            target.refuse_if_traced()
        }?;
        Ok(target)
    }

    /// Looks at process `pid`, whose threads `stopped` the calling thread has stopped.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn examine_stopped(pid: Pid, stopped: &[Pid]) -> Result<Self, Error> {
        let live_tid =
            if stopped.contains(&pid) { pid } else { *stopped.first().ok_or(Error::TargetGone { pid })? };
        let status =
            read_text(format!("/proc/{pid}/task/{live_tid}/status")).map_err(|error| missing(pid, error))?;
        let stat = Stat::read(format!("/proc/{pid}/stat")).map_err(|error| missing(pid, error))?;
        let own_child = stat.parent == std::process::id();
        Ok(Self { pid, named_thread: None, live_tid, own_child, is_ours: true, stat, status })
    }

    /// The /proc folder of the process, seen through a live thread.
    pub fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/task/{}/{file}", self.pid, self.live_tid))
    }

    /// The same process, seen through another of its threads.
    pub fn through(&self, live_tid: Pid) -> Self {
        Self { live_tid, ..self.clone() }
    }

    /// Opens a file that only a tracer may open, and tells what forbids it.
    pub fn open(&self, file: &str) -> Result<File, Error> {
        let path = self.proc(file);
        File::open(&path).map_err(|source| match source.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => self.denied(),
            Some(libc::ENOENT | libc::ESRCH) => Error::TargetGone { pid: self.pid },
            _ => Error::ProcFile { path, source },
        })
    }

    /// The error for a target that may not be traced, with what to do about it.
    pub fn denied(&self) -> Error {
        if let (false, Err(traced)) = (self.is_ours, self.refuse_if_traced()) {
            return traced;
        }
        let yama = read_text("/proc/sys/kernel/yama/ptrace_scope").ok();
        let yama = yama.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok());
        let owner = status_number(&self.status, "Uid");
        Error::PermissionDenied { pid: self.pid, reason: denial_reason(yama, owner, own_uid()) }
    }

    fn refuse_if_traced(&self) -> Result<(), Error> {
        self.refuse_if_traced_in(&read_text(self.proc("status")).unwrap_or_default())
    }

    fn refuse_if_traced_in(&self, status: &[u8]) -> Result<(), Error> {
        let Some(tracer) = status_number(status, "TracerPid").filter(|tracer| *tracer != 0) else {
            return Ok(());
        };
        let name = read_text(format!("/proc/{tracer}/comm")).unwrap_or_default();
        let name = String::from_utf8_lossy(&name).trim_end().to_owned();
        Err(Error::AlreadyTraced { pid: self.pid, tracer, name })
    }
}

fn missing(pid: Pid, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => Error::NoSuchProcess { pid },
        _ => Error::ProcFile { path: format!("/proc/{pid}/status").into(), source: error },
    }
}

fn has_exited(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}

/// A thread of the group, other than its exited main thread, that has not exited.
fn live_thread(group: Pid) -> Option<Pid> {
    let alive = |tid: Pid| {
        let stat = Stat::read(format!("/proc/{group}/task/{tid}/stat"));
        stat.is_ok_and(|stat| !has_exited(&stat))
    };
    let threads = fs::read_dir(format!("/proc/{group}/task")).ok()?;
    let ids = threads.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|tid| *tid != group).find(|tid| alive(*tid))
}

fn own_uid() -> u32 {
    read_text("/proc/self/status").ok().and_then(|status| status_number(&status, "Uid")).unwrap_or(0)
}

/// Why tracing is refused, most likely cause first, and the way out.
fn denial_reason(yama: Option<u32>, owner: Option<u32>, own: u32) -> String {
    match (yama, owner) {
        (_, Some(owner)) if own != 0 && owner != own => format!(
            "it belongs to user {owner} and this is user {own}; run as that user, or as root, or with CAP_SYS_PTRACE"
        ),
        (Some(3), _) => {
            "Yama forbids all tracing on this machine (kernel.yama.ptrace_scope is 3, which only a reboot \
             with another setting can lift)"
                .into()
        }
        (Some(2), _) => {
            "Yama lets only CAP_SYS_PTRACE trace (kernel.yama.ptrace_scope is 2); run as root, or set it \
             lower with `sysctl kernel.yama.ptrace_scope=0`"
                .into()
        }
        (Some(1), _) if own != 0 => {
            "Yama lets a process trace only its own children (kernel.yama.ptrace_scope is 1); \
             run as root, or set it to 0 with `sysctl kernel.yama.ptrace_scope=0`, or let the program call \
             prctl(PR_SET_PTRACER)"
                .into()
        }
        _ if own != 0 => {
            "the program is setuid, has raised privileges or made itself non-dumpable; run as root".into()
        }
        _ => "a sandbox or container forbids it; run outside of it, or with the capability CAP_SYS_PTRACE"
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_of_a_refusal_names_its_remedy() {
        assert!(denial_reason(Some(1), Some(1000), 1001).contains("belongs to user 1000"));
        assert!(denial_reason(Some(1), Some(1000), 1000).contains("sysctl kernel.yama.ptrace_scope=0"));
        assert!(denial_reason(Some(1), Some(1000), 1000).contains("PR_SET_PTRACER"));
        assert!(denial_reason(Some(2), Some(1000), 1000).contains("run as root"));
        assert!(denial_reason(Some(3), Some(0), 0).contains("reboot"));
        assert!(denial_reason(Some(0), Some(1000), 1000).contains("non-dumpable"));
        assert!(denial_reason(None, Some(0), 0).contains("CAP_SYS_PTRACE"));
    }

    #[test]
    fn process_zero_and_negative_ids_are_refused_before_the_kernel_is_asked() {
        assert!(matches!(Target::examine(0), Err(Error::InvalidPid { pid: 0 })));
        assert!(matches!(Target::examine(-5), Err(Error::InvalidPid { pid: -5 })));
    }

    #[test]
    fn the_id_of_a_thread_names_its_process_and_the_thread() {
        let (send, receive) = std::sync::mpsc::channel();
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let own = fs::read_link("/proc/thread-self").unwrap();
            send.send(own.file_name().unwrap().to_str().unwrap().parse::<Pid>().unwrap()).unwrap();
            let _ = wait.recv();
        });
        let tid = receive.recv().unwrap();
        let target = Target::examine(tid).unwrap();
        assert_eq!(target.pid, Pid::try_from(std::process::id()).unwrap());
        assert_eq!(target.named_thread, u32::try_from(tid).ok());
        drop(stop);
        thread.join().unwrap();
    }
}
