//! Connections of a process, and the programs that it starts.

use super::Kernel;
use super::process::{Called, Process};

impl Kernel {
    /// Connects two processes: the descriptors of the first and of the second.
    ///
    /// # Errors
    /// Never, with processes of this kernel.
    pub fn connect(&self, one: &Process, other: &Process) -> Result<(u32, u32), String> {
        self.with(|state| {
            let (here, there) = state.new_connection();
            Ok((state.describe(one.index, here, None)?, state.describe(other.index, there, None)?))
        })
    }
}

impl Process {
    /// A connection with itself, as `socketpair` makes it.
    pub(crate) fn socketpair(&self) -> Result<(u32, u32), String> {
        self.kernel.connect(self, self)
    }

    /// How many descriptors of connections it has.
    #[must_use]
    pub fn open_descriptors(&self) -> usize {
        self.kernel.lock().process(self.index).map_or(0, |inside| inside.descriptors.len())
    }

    /// Whether `descriptor` is one of a connection.
    pub(crate) fn has_descriptor(&self, descriptor: u32) -> bool {
        self.kernel.lock().end_of(self.index, descriptor).is_some()
    }

    /// `shutdown(SHUT_WR)`.
    pub(crate) fn shut(&self, descriptor: u32) {
        self.kernel.with(|state| {
            if let Some(end) = state.end_of(self.index, descriptor) {
                state.shut(end);
            }
        });
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// It is none.
    pub fn close(&self, descriptor: u32) -> Result<(), i32> {
        self.kernel.with(|state| state.close(self.index, descriptor))
    }

    /// Another descriptor of the same end.
    pub(crate) fn duplicate(&self, descriptor: u32) -> Result<u32, String> {
        self.kernel.with(|state| {
            let end = state.end_of(self.index, descriptor).ok_or("not a descriptor of a connection")?;
            state.describe(self.index, end, None)
        })
    }

    /// `poll` of one descriptor: what of `events` there is; 0 when nothing came within `patience` nanoseconds.
    pub(crate) fn poll(&self, descriptor: u32, events: u16, patience: Option<u64>) -> Result<u16, String> {
        let deadline = patience.map(|patience| self.kernel.now().saturating_add(patience));
        let found = self.kernel.wait(deadline, |state| {
            // POLLNVAL.
            let Some(end) = state.end_of(self.index, descriptor) else { return Some(0x20) };
            Some(state.poll(end, events)).filter(|found| *found != 0)
        })?;
        Ok(found.unwrap_or(0))
    }

    /// `read`: waits until there is something, or the end.
    ///
    /// # Errors
    /// Nothing ever comes.
    pub fn read(&self, descriptor: u32, most: usize) -> Result<Vec<u8>, String> {
        let came = self.kernel.wait(None, |state| {
            let end = state.end_of(self.index, descriptor)?;
            state.read(end, most)
        })?;
        Ok(came.unwrap_or_default())
    }

    /// `write`: waits until all is written. An error is an `errno`.
    ///
    /// # Errors
    /// Nobody ever reads.
    pub fn write(&self, descriptor: u32, bytes: &[u8]) -> Called<()> {
        let mut rest = bytes;
        let written = self.kernel.wait(None, |state| {
            let end = state.end_of(self.index, descriptor)?;
            match state.write(end, rest) {
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    if count > 0 {
                        // So that whoever reads makes more room.
                        state.wake();
                    }
                    rest.is_empty().then_some(Ok(()))
                }
                Err(errno) => Some(Err(errno)),
            }
        })?;
        Ok(written.unwrap_or(Ok(())))
    }

    /// `posix_spawn`.
    pub(crate) fn spawn(&self, path: &str, descriptors: &[(u32, u32)]) -> Called<i32> {
        self.kernel.with(|state| state.spawn(self.index, path, descriptors))
    }

    /// `kill(SIGKILL)` of a child.
    pub(crate) fn kill_child(&self, pid: i32) {
        self.kernel.with(|state| state.kill_child(self.index, pid));
    }

    /// Waits until it is killed, at most until `instant`, and tells whether it was. Whoever plays it has to end it then.
    ///
    /// # Errors
    /// When everybody waits for what nobody does.
    pub fn is_killed_before(&self, instant: u64) -> Result<bool, String> {
        let killed = self.kernel.wait(Some(instant), |state| {
            state.process(self.index).ok().filter(|inside| inside.is_killed).map(|_| ())
        });
        killed.map(|killed| killed.is_some())
    }

    /// `waitpid`: waits until the child has ended. An error is an `errno`.
    pub(crate) fn reap(&self, pid: i32) -> Called<i32> {
        let index = self.index;
        let ended = self.kernel.wait(None, |state| state.reap(index, pid).transpose())?;
        ended.ok_or_else(|| "it never ends".to_owned())
    }
}
