//! The kernel's coredump socket: for every crash the kernel itself connects to a socket of the administrator's choice
//! and sends the core (core(5), `kernel.core_pattern` of the forms `@/path`, since Linux 6.16, and `@@/path`).
//!
//! - [`listen`] and [`activated`]: the socket.
//! - [`Peer`]: the process at the other end, and whether it is one whose core is being taken.
//! - [`agree`]: what is said before the core comes.
//! - [`serve`]: hands each crash to a process of its own, a bounded number at a time.
//!
//! What the kernel says and expects is in <linux/coredump.h> and <linux/pidfd.h>, and in its fs/coredump.c.

mod children;
mod idle;
mod listener;
mod own_crash;
mod peer;
mod request;
mod server;
#[cfg(test)]
mod tests;

pub use idle::give_back_program_memory;
pub use listener::{activated, listen};
pub use own_crash::make_no_core_of_this_process;
pub use peer::Peer;
pub use request::{Form, agree};
pub use server::serve;
