//! Rights to ports, each given back once.

use super::message::Port;
use super::sys;

/// A right to send to a port: among others, to a task.
#[derive(Debug)]
pub struct SendRight(Port);

impl SendRight {
    /// Takes over a right that this process owns. `None` for the names that stand for no right (MACH_PORT_NULL, MACH_PORT_DEAD).
    #[must_use]
    pub fn owning(port: Port) -> Option<Self> {
        // Made only then: a value that is dropped gives something back.
        (port != 0 && port != Port::MAX).then(|| Self(port))
    }

    /// Its name. It stays this value's.
    #[must_use]
    pub fn port(&self) -> Port {
        self.0
    }
}

impl Drop for SendRight {
    fn drop(&mut self) {
        sys::deallocate(self.0);
    }
}

/// The right to receive from a port. When it goes, so does the port.
#[derive(Debug)]
pub struct ReceiveRight(Port);

impl ReceiveRight {
    /// Takes over a right that this process owns.
    pub(super) fn owning(port: Port) -> Self {
        Self(port)
    }

    /// Its name. It stays this value's.
    #[must_use]
    pub fn port(&self) -> Port {
        self.0
    }
}

impl Drop for ReceiveRight {
    fn drop(&mut self) {
        sys::destroy_receive_right(self.0);
    }
}
