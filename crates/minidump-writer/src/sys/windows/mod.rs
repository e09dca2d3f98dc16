//! Windows: documented calls where there are such, and the native API below them where not.
//!
//! [`capture`] goes through three phases. *Before* it makes the target stand still, it reads what does not change. In the
//! *window* it holds all threads, reads registers and the memory map, plans and copies memory, and lets the target go.
//! *After*wards it reads names and the like, and puts the snapshot together. In the window nothing is called that waits for
//! the target, or takes a lock that one of its threads may hold.

mod after;
mod as_before;
mod before;
mod blame;
mod capture;
mod clone;
mod copied;
pub mod crash;
mod handles;
mod hold;
mod image_files;
mod images;
mod memory;
mod ntdll;
mod open;
mod privilege;
mod process;
mod processor;
mod regions;
mod registers;
mod security;
mod session;
mod source;
mod stacks;
mod system;
#[cfg(test)]
mod tests;
mod thread_facts;
mod threads;
mod time_zone;
mod times;
mod window;

pub use capture::{Capture, capture, capture_stopped};
pub use session::Session;
