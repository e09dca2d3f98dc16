//! macOS: the calls of Mach. What is made of their answers is in `minidump-mach`.

mod calls;
mod capture;
mod memory;
mod open;
mod process;
mod registers;
mod request;
mod rights;
mod session;
mod task;

pub use capture::{Capture, capture, capture_task};
pub use request::TaskDetails;
pub use rights::own_task;
pub use session::Session;
pub use task::RealTask;
