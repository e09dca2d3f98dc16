//! All that the kernel knows.

use super::exceptions::Handler;
use super::ports::{Kind, Name, Port, PortId, Space};
use super::sockets::End;
use super::spawn::Program;
use std::collections::{BTreeMap, VecDeque};

/// A process, as the kernel sees it.
#[derive(Debug, Default)]
pub struct Inside {
    pub pid: i32,
    pub parent: usize,
    pub euid: u32,
    pub space: Space,
    /// Descriptors, and the ends of connections that they stand for.
    pub descriptors: BTreeMap<u32, usize>,
    /// Its handlers of exceptions, by `EXC_*`.
    pub handlers: BTreeMap<u32, Handler>,
    /// Calls that are refused: name and code.
    pub refusals: VecDeque<(String, i32)>,
    /// It has ended.
    pub is_over: bool,
    /// It has been killed, and has not ended yet.
    pub is_killed: bool,
    /// Its parent knows that it has ended.
    pub is_waited_for: bool,
}

/// All that the kernel knows.
#[derive(Debug)]
pub struct State {
    pub now: u64,
    /// Threads of the host that do not wait.
    pub running: usize,
    /// Ends of the waits of the others.
    pub waiting: Vec<Option<u64>>,
    /// Grows with each change.
    pub version: u64,
    pub is_stuck: bool,
    pub ports: Vec<Port>,
    /// The first is the kernel itself.
    pub processes: Vec<Inside>,
    /// What the bootstrap server knows.
    pub services: BTreeMap<String, PortId>,
    pub ends: Vec<End>,
    pub behaviors: Vec<u32>,
    /// Programs that can be started.
    pub programs: BTreeMap<String, Program>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            now: 0,
            running: 0,
            waiting: Vec::new(),
            version: 0,
            is_stuck: false,
            ports: Vec::new(),
            processes: vec![Inside::default()],
            services: BTreeMap::new(),
            ends: Vec::new(),
            behaviors: vec![1, 2, 3, 4, 5],
            programs: BTreeMap::new(),
        }
    }
}

impl State {
    /// All that wait look again.
    pub fn wake(&mut self) {
        self.running += self.waiting.len();
        self.waiting.clear();
        self.version += 1;
    }

    /// Nobody runs: the first wait ends.
    pub fn pass_time(&mut self) {
        match self.waiting.iter().flatten().min() {
            Some(first) => self.now = self.now.max(*first),
            None => self.is_stuck = !self.waiting.is_empty(),
        }
        self.wake();
    }

    pub fn process(&mut self, index: usize) -> Result<&mut Inside, String> {
        self.processes.get_mut(index).ok_or_else(|| "there is no such process".to_owned())
    }

    /// From now on, a process will have the tasks of others under these names.
    pub fn name_tasks(&mut self, index: usize, tasks: &[(i32, Name)]) {
        if let Some(process) = self.processes.get_mut(index) {
            process.space.tasks.extend(tasks.iter().copied());
        }
    }

    /// The port of this kind, of which there is one.
    pub fn port_of(&mut self, kind: Kind) -> PortId {
        let found = self.ports.iter().position(|port| port.kind == kind);
        found.unwrap_or_else(|| self.new_port(kind, None))
    }

    pub fn new_port(&mut self, kind: Kind, receiver: Option<usize>) -> PortId {
        self.ports.push(Port { kind, is_alive: true, queue: VecDeque::new(), receiver });
        self.ports.len() - 1
    }
}
