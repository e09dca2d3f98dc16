//! Programs that one process starts, and a test then plays or executes.

use super::ports::{Kind, Name};
use super::process::Process;
use super::{Kernel, state::State};

/// ECHILD.
const NO_CHILD: i32 = 10;
/// ENOENT.
const NO_FILE: i32 = 2;

/// A program that can be started.
#[derive(Debug, Default)]
pub struct Program {
    pid: i32,
    /// It has been: this is the process.
    started: Option<usize>,
}

impl Kernel {
    /// Makes a program known, whose process will have the id `pid`.
    pub fn install(&self, path: &str, pid: i32) {
        self.with(|state| state.programs.insert(path.to_owned(), Program { pid, started: None }));
    }

    /// Waits until somebody starts the program, at most `patience` nanoseconds. In it the tasks of the processes `tasks` are
    /// named as told.
    ///
    /// # Errors
    /// When everybody waits for what nobody does.
    pub fn started(
        &self,
        path: &str,
        tasks: &[(i32, Name)],
        patience: u64,
    ) -> Result<Option<Process>, String> {
        let deadline = self.now().saturating_add(patience);
        let index = self.wait(Some(deadline), |state| state.programs.get_mut(path)?.started.take())?;
        if let Some(index) = index {
            self.with(|state| state.name_tasks(index, tasks));
        }
        Ok(index.map(|index| Process::of(self, index)))
    }
}

impl State {
    /// `posix_spawn`, where `descriptors` are those of the parent and of the child. Returns the process's id, or an error.
    pub fn spawn(
        &mut self,
        parent: usize,
        path: &str,
        descriptors: &[(u32, u32)],
    ) -> Result<Result<i32, i32>, String> {
        let Some(program) = self.programs.get(path) else { return Ok(Err(NO_FILE)) };
        let pid = program.pid;
        let child = self.new_process(pid, parent);
        for (own, wanted) in descriptors {
            let end = self.end_of(parent, *own).ok_or("a descriptor that is passed on is none")?;
            self.describe(child, end, Some(*wanted))?;
        }
        // What its parent has, it inherits.
        let handlers = self.process(parent)?.handlers.clone();
        self.process(child)?.handlers = handlers;
        if let Some(program) = self.programs.get_mut(path) {
            program.started = Some(child);
        }
        Ok(Ok(pid))
    }

    pub fn new_process(&mut self, pid: i32, parent: usize) -> usize {
        use super::ports::{BOOTSTRAP, Entry, OWN_TASK};
        let mut inside = super::state::Inside { pid, parent, euid: 501, ..Default::default() };
        let task = self.port_of(Kind::Task(pid));
        let bootstrap = self.port_of(Kind::Bootstrap);
        for (name, port) in [(OWN_TASK, task), (BOOTSTRAP, bootstrap)] {
            inside.space.entries.insert(name, Entry { port, receive: false, send: 1, once: false });
        }
        self.processes.push(inside);
        self.processes.len() - 1
    }

    /// Kills a child.
    pub fn kill_child(&mut self, parent: usize, pid: i32) {
        let mut children = self.processes.iter_mut().filter(|child| child.pid == pid);
        if let Some(child) = children.find(|child| child.parent == parent) {
            child.is_killed = true;
        }
    }

    /// A child of `parent` that has ended: its id. `Err` when there is no such child.
    pub fn reap(&mut self, parent: usize, pid: i32) -> Result<Option<i32>, i32> {
        let mut children =
            self.processes.iter_mut().filter(|child| child.pid == pid && child.parent == parent);
        let child = children.find(|child| !child.is_waited_for).ok_or(NO_CHILD)?;
        child.is_waited_for = child.is_over;
        Ok(child.is_over.then_some(pid))
    }
}
