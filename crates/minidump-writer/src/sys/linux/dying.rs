//! A process that the kernel holds while its core is taken: what /proc tells of it besides the core.
//!
//! Such a process runs no code any more, so nothing has to be stopped. It keeps its memory, its open files and the names
//! of its threads until the reader of the core is done (core(5), `core_pipe_limit`).

use super::before::Image;
use super::handles::handles;
use super::proc_fs::{read_text, status_field, status_number};
use super::system;
use super::target::Target;
use super::task_list::TaskList;
use super::thread_facts::{Clock, ThreadFacts};
use crate::core_file::ProcessBeside;
use crate::snapshot::{Handle, LinuxFacts, Module, Process, Snapshot, SoftError, Stage};
use crate::{Error, Pid};
use std::collections::HashMap;
use std::fs::File;

/// A process that is held.
#[derive(Debug)]
pub struct Dying {
    target: Target,
    image: Image,
    threads: Vec<Known>,
    handles: Vec<Handle>,
}

/// A thread.
#[derive(Debug)]
struct Known {
    /// Its id here.
    id: u32,
    /// Its id in its own namespace, by which a core calls it.
    inner: u32,
    facts: ThreadFacts,
}

impl Dying {
    /// Reads what there is of process `pid`.
    ///
    /// # Errors
    /// When it is not there, may not be looked at, or no core of it is being taken: then /proc may tell of another process
    /// that was given the same id. Kernels before 4.15 do not tell, and count as not held.
    pub fn examine(pid: Pid) -> Result<Self, Error> {
        let target = Target::examine(pid)?;
        // Of an exited main thread the kernel does not say so.
        let status = read_text(target.proc("status")).unwrap_or_default();
        if status_number(&status, "CoreDumping") != Some(1) {
            return Err(Error::TargetGone { pid });
        }
        let mut image = Image::read(&target, None, false)?;
        let handles = handles(&target, &mut image.soft_errors);
        let threads = threads(&target)?;
        Ok(Self { target, image, threads, handles })
    }
}

impl ProcessBeside for Dying {
    fn maps(&self) -> &[u8] {
        &self.image.maps_text
    }

    fn modules(&self) -> &[Module] {
        &self.image.modules
    }

    fn memory(&self) -> Option<File> {
        self.image.mem_file.as_ref()?.try_clone().ok()
    }

    fn fill(self: Box<Self>, snapshot: &mut Snapshot) {
        let Self { target, image, threads, handles } = *self;
        let clock = Clock::new();
        rename(snapshot, &threads);
        fill_threads(snapshot, threads, clock);
        snapshot.process = Process {
            pid: target.pid.unsigned_abs(),
            parent_pid: Some(target.stat.parent),
            uid: status_number(&target.status, "Uid"),
            executable: image.executable.or(snapshot.process.executable.take()),
            start_time_us: clock.time_us(target.stat.start),
            user_time_us: Some(clock.duration_us(target.stat.user)),
            kernel_time_us: Some(clock.duration_us(target.stat.kernel)),
        };
        snapshot.system = system::system(image.facts.cpu_info.as_deref());
        let dso_debug = image.dso_debug.or_else(|| snapshot.linux.take()?.dso_debug);
        snapshot.linux = Some(LinuxFacts { maps: Some(image.maps_text), dso_debug, ..image.facts });
        snapshot.handles = handles;
        snapshot.soft_errors.extend(image.soft_errors);
        snapshot.soft_errors.extend(image.module_errors);
    }
}

fn threads(target: &Target) -> Result<Vec<Known>, Error> {
    let gone = |_| Error::TargetGone { pid: target.pid };
    let mut tasks = TaskList::open(target.pid).map_err(gone)?;
    let mut ids = Vec::new();
    tasks.list(&mut ids).map_err(gone)?;
    let known = |tid: libc::pid_t| {
        let id = u32::try_from(tid).ok()?;
        let facts = ThreadFacts::read(tasks.folder(), tid).ok()?;
        Some(Known { id, inner: inner_id(target.pid, tid).unwrap_or(id), facts })
    };
    Ok(ids.into_iter().filter_map(known).collect())
}

/// The id of a thread in its innermost namespace: the last of `NSpid` (proc_pid_status(5)).
fn inner_id(pid: Pid, tid: libc::pid_t) -> Option<u32> {
    let status = read_text(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    status_field(&status, "NSpid")?.split_ascii_whitespace().next_back()?.parse().ok()
}

/// Gives the threads the ids that they have here, if all of them are known: two kinds of ids must not mix.
fn rename(snapshot: &mut Snapshot, threads: &[Known]) {
    let here: HashMap<u32, u32> = threads.iter().map(|known| (known.inner, known.id)).collect();
    let ids = snapshot.threads.iter().map(|thread| thread.id);
    let blamed = snapshot.exception.as_ref().map(|exception| exception.thread);
    if !ids.chain(blamed).all(|id| here.contains_key(&id)) {
        let message =
            "the core has threads that /proc does not list; thread ids are those of their own namespace";
        snapshot.soft_errors.push(SoftError::new(Stage::ThreadFacts, message));
        return;
    }
    let renamed = |id: &mut u32| *id = here.get(id).copied().unwrap_or(*id);
    snapshot.threads.iter_mut().for_each(|thread| renamed(&mut thread.id));
    snapshot.exception.iter_mut().for_each(|exception| renamed(&mut exception.thread));
    snapshot.blamed_thread.iter_mut().for_each(renamed);
}

fn fill_threads(snapshot: &mut Snapshot, threads: Vec<Known>, clock: Clock) {
    let mut known: HashMap<u32, ThreadFacts> =
        threads.into_iter().map(|known| (known.id, known.facts)).collect();
    for thread in &mut snapshot.threads {
        if let Some(facts) = known.remove(&thread.id) {
            facts.fill(thread, clock);
            // What they do now is wait for the core to be written.
            thread.state = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_which_no_core_is_taken_is_not_believed() {
        let pid = Pid::try_from(std::process::id()).unwrap();
        assert!(matches!(Dying::examine(pid), Err(Error::TargetGone { pid: found }) if found == pid));
    }

    #[test]
    fn a_thread_of_this_namespace_has_one_id() {
        let pid = Pid::try_from(std::process::id()).unwrap();
        assert_eq!(inner_id(pid, pid), Some(pid.unsigned_abs()));
    }
}
