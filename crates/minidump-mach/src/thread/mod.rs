//! Threads: which there are, and what is known of each.

mod dispatch_queue;
mod info;
mod list;
mod registers;
mod state;

use dispatch_queue::label;
use info::Identity;
pub use list::list;
pub use registers::cpu_flavors;
pub use state::{Found, ThreadReader};
