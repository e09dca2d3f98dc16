//! Ports, and the names under which processes have rights to them (mach/port.h, mach/mach_port.defs).

use super::code;
use super::messages::{Message, Part};
use super::state::State;
use std::collections::{BTreeMap, VecDeque};

/// `mach_port_name_t`.
pub type Name = u32;
/// Index of a port.
pub type PortId = usize;

/// MACH_PORT_NULL and MACH_PORT_DEAD.
pub const NULL: Name = 0;
pub const DEAD: Name = Name::MAX;
/// The own task, and the bootstrap server, in each process.
pub const OWN_TASK: Name = 0x203;
pub const BOOTSTRAP: Name = 0x70b;
/// Names that are made anew.
const FIRST_NAME: Name = 0x2_0b03;
const NEXT_NAME: Name = 0x104;

/// What a port stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A port of a process's.
    Plain,
    Bootstrap,
    /// A task, by process id.
    Task(i32),
    /// A token for a task, by process id.
    Token(i32),
    /// A thread, by the name that it has everywhere: the simulated task's.
    Thread(Name),
}

/// A right, on its way or with somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Receive,
    Send,
    SendOnce,
}

/// A port.
#[derive(Debug)]
pub struct Port {
    pub kind: Kind,
    pub is_alive: bool,
    pub queue: VecDeque<Message>,
    /// The process that receives from it.
    pub receiver: Option<usize>,
}

/// What a process has under one name. When the port dies, rights to send become dead names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub port: PortId,
    pub receive: bool,
    /// References to a right to send, or to a dead name.
    pub send: u32,
    /// A right to send once, which has a name of its own.
    pub once: bool,
}

/// The names of a process.
#[derive(Debug, Default)]
pub struct Space {
    pub entries: BTreeMap<Name, Entry>,
    /// Names of the tasks that others have here.
    pub tasks: BTreeMap<i32, Name>,
    made: u32,
}

impl Space {
    fn fresh(&mut self) -> Name {
        self.made += 1;
        FIRST_NAME + self.made * NEXT_NAME
    }
}

impl State {
    /// A process gets a right. Returns its name: MACH_PORT_DEAD when the port has gone.
    pub fn gain(&mut self, process: usize, port: PortId, right: Right) -> Result<Name, String> {
        let about = self.ports.get_mut(port).ok_or("there is no such port")?;
        if !about.is_alive {
            return Ok(DEAD);
        }
        let kind = about.kind;
        if right == Right::Receive {
            about.receiver = Some(process);
        }
        let space = &mut self.process(process)?.space;
        let mut known = space.entries.iter_mut().filter(|(_, entry)| entry.port == port && !entry.once);
        if let (true, Some((name, entry))) = (right != Right::SendOnce, known.next()) {
            entry.send += u32::from(right == Right::Send);
            entry.receive |= right == Right::Receive;
            return Ok(*name);
        }
        let fixed = match kind {
            Kind::Thread(name) => Some(name),
            Kind::Task(pid) => space.tasks.get(&pid).copied(),
            _ => None,
        };
        let name = fixed.unwrap_or_else(|| space.fresh());
        let (receive, once) = (right == Right::Receive, right == Right::SendOnce);
        let entry = Entry { port, receive, send: u32::from(right == Right::Send), once };
        space.entries.insert(name, entry);
        Ok(name)
    }

    pub fn entry(&self, process: usize, name: Name) -> Option<Entry> {
        self.processes.get(process)?.space.entries.get(&name).copied()
    }

    pub fn is_alive(&self, port: PortId) -> bool {
        self.ports.get(port).is_some_and(|port| port.is_alive)
    }

    /// `mach_port_deallocate`.
    pub fn lose(&mut self, process: usize, name: Name) -> Result<(), i32> {
        let Some(mut entry) = self.entry(process, name) else { return Err(code::INVALID_NAME) };
        if entry.once {
            self.forget(process, name);
            self.discard(entry.port, Right::SendOnce);
            return Ok(());
        }
        entry.send = entry.send.checked_sub(1).ok_or(code::INVALID_RIGHT)?;
        self.keep(process, name, entry);
        Ok(())
    }

    /// Gives back a right to receive: the port dies.
    pub fn lose_receive(&mut self, process: usize, name: Name) -> Result<(), i32> {
        let mut entry = self.entry(process, name).ok_or(code::INVALID_NAME)?;
        if !entry.receive {
            return Err(code::INVALID_RIGHT);
        }
        entry.receive = false;
        self.keep(process, name, entry);
        self.kill(entry.port);
        Ok(())
    }

    fn keep(&mut self, process: usize, name: Name, entry: Entry) {
        if entry.send == 0 && !entry.receive && !entry.once {
            self.forget(process, name);
        } else if let Some(inside) = self.processes.get_mut(process) {
            inside.space.entries.insert(name, entry);
        }
    }

    fn forget(&mut self, process: usize, name: Name) {
        if let Some(inside) = self.processes.get_mut(process) {
            inside.space.entries.remove(&name);
        }
    }

    /// Takes a right out of a process, as a message does that is sent (`MACH_MSG_TYPE_*`). `Ok(None)` when what it had
    /// was a dead name.
    pub fn take(
        &mut self,
        process: usize,
        name: Name,
        disposition: u32,
    ) -> Result<Option<(PortId, Right)>, ()> {
        let entry = self.entry(process, name).ok_or(())?;
        let port = entry.port;
        let is_alive = self.is_alive(port);
        match disposition {
            16 if entry.receive => {
                self.keep(process, name, Entry { receive: false, ..entry });
                if let Some(port) = self.ports.get_mut(port) {
                    port.receiver = None;
                }
                Ok(Some((port, Right::Receive)))
            }
            17 if entry.send > 0 => {
                self.keep(process, name, Entry { send: entry.send - 1, ..entry });
                Ok(is_alive.then_some((port, Right::Send)))
            }
            18 if entry.once => {
                self.forget(process, name);
                Ok(is_alive.then_some((port, Right::SendOnce)))
            }
            19 if entry.send > 0 => Ok(is_alive.then_some((port, Right::Send))),
            20 if entry.receive => Ok(Some((port, Right::Send))),
            21 if entry.receive => Ok(Some((port, Right::SendOnce))),
            _ => Err(()),
        }
    }

    /// The port dies: what waits in it is lost, and rights to send are dead names.
    pub fn kill(&mut self, port: PortId) {
        let Some(dying) = self.ports.get_mut(port).filter(|port| port.is_alive) else { return };
        dying.is_alive = false;
        dying.receiver = None;
        let lost = std::mem::take(&mut dying.queue);
        for message in lost {
            self.destroy(message);
        }
        self.services.retain(|_, service| *service != port);
    }

    /// A right ceases to be. One to send once tells so (MACH_NOTIFY_SEND_ONCE).
    pub fn discard(&mut self, port: PortId, right: Right) {
        match right {
            Right::Send => {}
            Right::Receive => self.kill(port),
            Right::SendOnce => {
                if let Some(port) = self.ports.get_mut(port).filter(|port| port.is_alive) {
                    port.queue.push_back(Message::nobody_answers());
                }
            }
        }
    }

    /// A message that nobody receives.
    pub fn destroy(&mut self, message: Message) {
        let rights = message.parts.into_iter().filter_map(|(_, part)| match part {
            Part::Right(right) => right,
            Part::Memory(_) => None,
        });
        let rights: Vec<(PortId, Right)> = rights.chain(message.reply).collect();
        for (port, right) in rights {
            self.discard(port, right);
        }
    }
}
