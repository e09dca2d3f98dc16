//! A process among others: what it may ask of the kernel. Emulated programs do so by calls, and tests play others by it.

use super::exceptions::Previous;
use super::messages::{Delivered, MOST_WAITING};
use super::ports::{BOOTSTRAP, Entry, Kind, NULL, Name, OWN_TASK, Right};
use super::{Kernel, code};

/// A process. It ends with the value: its ports die, its connections are closed.
#[derive(Debug)]
pub struct Process {
    pub(super) kernel: Kernel,
    pub(super) index: usize,
}

/// What a call returns: an error of the kernel's, in one of the emulation.
pub type Called<T> = Result<Result<T, i32>, String>;

impl Kernel {
    /// A new process, in which the tasks of the processes `tasks` will be named as told.
    #[must_use]
    pub fn process(&self, pid: i32, tasks: &[(i32, Name)]) -> Process {
        let index = self.with(|state| {
            let index = state.new_process(pid, 0);
            state.name_tasks(index, tasks);
            index
        });
        Process::of(self, index)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kernel.with(|state| {
            let Ok(inside) = state.process(self.index) else { return };
            inside.is_over = true;
            inside.handlers.clear();
            let descriptors: Vec<u32> = inside.descriptors.keys().copied().collect();
            let entries: Vec<Entry> = std::mem::take(&mut inside.space.entries).into_values().collect();
            let task = Kind::Task(inside.pid);
            for descriptor in descriptors {
                let _ = state.close(self.index, descriptor);
            }
            for entry in entries {
                if entry.receive {
                    state.kill(entry.port);
                }
                if entry.once {
                    state.discard(entry.port, Right::SendOnce);
                }
            }
            let task = state.port_of(task);
            state.kill(task);
        });
    }
}

impl Process {
    pub(super) fn of(kernel: &Kernel, index: usize) -> Self {
        Self { kernel: kernel.clone(), index }
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.kernel.with(|state| state.process(self.index).map_or(0, |inside| inside.pid))
    }

    /// From now on, the task of process `pid` will be called `name` here.
    pub fn name_task(&self, pid: i32, name: Name) {
        self.kernel.with(|state| state.name_tasks(self.index, &[(pid, name)]));
    }

    /// What `child` inherits: who handles exceptions.
    pub fn lend_handlers(&self, child: &Self) {
        self.kernel.with(|state| {
            let handlers = state.process(self.index).map(|inside| inside.handlers.clone());
            if let (Ok(handlers), Ok(child)) = (handlers, state.process(child.index)) {
                child.handlers = handlers;
            }
        });
    }

    /// Waits until an instant.
    pub fn wait_until(&self, instant: u64) {
        let _ = self.kernel.wait(Some(instant), |_| None::<()>);
    }

    /// Makes the next call of function `name` fail with `code`.
    pub fn refuse(&self, name: &str, code: i32) {
        self.kernel.with(|state| {
            if let Ok(inside) = state.process(self.index) {
                inside.refusals.push_back((name.to_owned(), code));
            }
        });
    }

    /// What the call of `name` is refused with.
    pub(crate) fn refused(&self, name: &str) -> Option<i32> {
        let mut state = self.kernel.lock();
        let refusals = &mut state.process(self.index).ok()?.refusals;
        let at = refusals.iter().position(|(refused, _)| refused == name)?;
        refusals.remove(at).map(|(_, code)| code)
    }

    /// The rights that it has beside those that each process has: names, references to send, to receive and to send once.
    #[must_use]
    pub fn rights(&self) -> Vec<(Name, u32, bool, bool)> {
        let mut state = self.kernel.lock();
        let Ok(inside) = state.process(self.index) else { return Vec::new() };
        let is_usual = |name: Name, entry: &Entry| (name == OWN_TASK || name == BOOTSTRAP) && entry.send == 1;
        let entries = inside.space.entries.iter();
        entries
            .filter(|(name, entry)| !is_usual(**name, entry))
            .map(|(name, entry)| (*name, entry.send, entry.receive, entry.once))
            .collect()
    }

    /// Who handles exceptions of kind `exception`: behaviour and flavor.
    #[must_use]
    pub fn handler(&self, exception: u32) -> Option<(u32, u32)> {
        let mut state = self.kernel.lock();
        let handler = state.process(self.index).ok()?.handlers.get(&exception).copied()?;
        handler.port.map(|_| (handler.behavior, handler.flavor))
    }

    /// Whether it has a right called `name`, to a port that lives.
    pub(crate) fn has(&self, name: Name) -> bool {
        let state = self.kernel.lock();
        state.entry(self.index, name).is_some_and(|entry| state.is_alive(entry.port))
    }

    /// A right to a thread or a task, which the kernel gives.
    pub(crate) fn gain(&self, kind: Kind) -> Result<Name, String> {
        self.kernel.with(|state| {
            let port = state.port_of(kind);
            state.gain(self.index, port, Right::Send)
        })
    }

    /// The process that `token` stands for.
    pub(crate) fn token(&self, token: Name) -> Option<i32> {
        let state = self.kernel.lock();
        let entry = state.entry(self.index, token)?;
        match state.ports.get(entry.port)?.kind {
            Kind::Token(pid) => Some(pid),
            _ => None,
        }
    }

    /// `mach_port_allocate` of a right to receive.
    ///
    /// # Errors
    /// Never, with processes of this kernel.
    pub fn allocate(&self) -> Result<Name, String> {
        self.kernel.with(|state| {
            let port = state.new_port(Kind::Plain, Some(self.index));
            state.gain(self.index, port, Right::Receive)
        })
    }

    /// `mach_port_insert_right` of a right to send to an own port.
    ///
    /// # Errors
    /// The process does not receive from it.
    pub fn make_send(&self, name: Name) -> Result<(), String> {
        self.kernel.with(|state| {
            let right = state.take(self.index, name, 20).map_err(|()| "no right to receive")?;
            let (port, right) = right.ok_or("a dead port")?;
            state.gain(self.index, port, right).map(|_| ())
        })
    }

    /// `mach_port_deallocate`.
    ///
    /// # Errors
    /// The kernel's code.
    pub fn deallocate(&self, name: Name) -> Result<(), i32> {
        self.kernel.with(|state| state.lose(self.index, name))
    }

    /// `mach_port_mod_refs(MACH_PORT_RIGHT_RECEIVE, -1)`.
    ///
    /// # Errors
    /// The kernel's code.
    pub fn destroy_receive(&self, name: Name) -> Result<(), i32> {
        self.kernel.with(|state| state.lose_receive(self.index, name))
    }

    /// `bootstrap_check_in`.
    ///
    /// # Errors
    /// The bootstrap server's code.
    pub fn check_in(&self, name: &str) -> Called<Name> {
        self.kernel.with(|state| {
            if state.services.contains_key(name) {
                return Ok(Err(code::SERVICE_ACTIVE));
            }
            let port = state.new_port(Kind::Plain, Some(self.index));
            state.services.insert(name.to_owned(), port);
            state.gain(self.index, port, Right::Receive).map(Ok)
        })
    }

    /// `bootstrap_look_up`.
    ///
    /// # Errors
    /// The bootstrap server's code.
    pub fn look_up(&self, name: &str) -> Called<Name> {
        self.kernel.with(|state| match state.services.get(name).copied() {
            Some(port) => state.gain(self.index, port, Right::Send).map(Ok),
            None => Ok(Err(code::UNKNOWN_SERVICE)),
        })
    }

    /// Whether somebody has checked in under `name`.
    #[must_use]
    pub fn is_service(&self, name: &str) -> bool {
        self.kernel.lock().services.contains_key(name)
    }

    /// Sends a message, waiting for room at most `patience` nanoseconds. The message that could not be sent in time is
    /// written over as the kernel gives it back.
    ///
    /// # Errors
    /// The kernel's code.
    pub fn send(&self, message: &mut Vec<u8>, patience: u64) -> Called<()> {
        let taken = self.kernel.with(|state| state.take_message(self.index, message));
        let (port, taken) = match taken {
            Ok(taken) => taken,
            Err(code) => return Ok(Err(code)),
        };
        let deadline = self.kernel.now().saturating_add(patience);
        let mut waiting = Some(taken);
        let sent = self.kernel.wait(Some(deadline), |state| {
            let target = state.ports.get_mut(port)?;
            let is_full = target.is_alive && target.queue.len() >= MOST_WAITING;
            if is_full && waiting.as_ref()?.to != Right::SendOnce {
                return None;
            }
            let is_alive = target.is_alive;
            let message = waiting.take()?;
            if is_alive {
                state.ports.get_mut(port)?.queue.push_back(message);
            } else {
                state.destroy(message);
            }
            Some(())
        })?;
        match (sent, waiting) {
            (None, Some(unsent)) => {
                *message = self.kernel.with(|state| state.give_back(self.index, port, unsent))?;
                Ok(Err(code::SEND_TIMED_OUT))
            }
            _ => Ok(Ok(())),
        }
    }

    /// Receives a message of at most `room` bytes, trailer included, waiting at most `patience` nanoseconds.
    ///
    /// # Errors
    /// The kernel's code.
    pub fn receive(&self, name: Name, room: usize, patience: u64) -> Called<Delivered> {
        let deadline = self.kernel.now().saturating_add(patience);
        let came = self.kernel.wait(Some(deadline), |state| {
            let Some(entry) = state.entry(self.index, name).filter(|entry| entry.receive) else {
                return Some(Err(code::RCV_INVALID_NAME));
            };
            let message = state.ports.get_mut(entry.port)?.queue.pop_front()?;
            // Header and trailer.
            if message.body.len() + 24 + 52 > room {
                state.destroy(message);
                return Some(Err(code::RCV_TOO_LARGE));
            }
            Some(Ok(message))
        })?;
        match came {
            None => Ok(Err(code::RCV_TIMED_OUT)),
            Some(Err(code)) => Ok(Err(code)),
            Some(Ok(message)) => {
                self.kernel.with(|state| state.give_message(self.index, name, message)).map(Ok)
            }
        }
    }

    /// `task_swap_exception_ports` for the own task.
    ///
    /// # Errors
    /// The kernel's code.
    pub fn swap_handlers(&self, mask: u32, port: Name, behavior: u32, flavor: u32) -> Called<Vec<Previous>> {
        self.kernel.with(|state| state.swap_handlers(self.index, mask, port, (behavior, flavor)))
    }

    /// Makes `port` the handler of exceptions of `mask`, as a program does that has none yet.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_handler(&self, mask: u32, port: Name, behavior: u32, flavor: u32) -> Result<(), String> {
        let previous = self.swap_handlers(mask, port, behavior, flavor)?;
        let previous = previous.map_err(|code| format!("it was refused with {code:#x}"))?;
        for handler in previous.iter().filter(|handler| handler.port != NULL) {
            self.deallocate(handler.port).map_err(|code| format!("not given back: {code}"))?;
        }
        Ok(())
    }
}
