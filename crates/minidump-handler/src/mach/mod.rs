//! From a crash to a dump by Mach's means.
//!
//! * A process gives the handler the right to its own task, so that nobody needs an entitlement: over a name of the
//!   bootstrap server that is told on a pipe, made anew and at random for each process. The handler knows by the kernel's
//!   word who sent the right, and by a secret told on the pipe that it is the process it talked to.
//! * The kernel tells the handler of the process's crashes: its exception port is the handler's, in the form that
//!   hardened processes allow, or else in the classic one. What was there before is told afterwards.
//! * Or the process tells of its crash itself ([`Account`]), from a handler of its own.
//!
//! In the process:
//!
//! ```ignore (needs macOS)
//! use minidump_handler::mach::{Account, Protection};
//!
//! let mut handler = std::process::Command::new("/usr/local/bin/minidump-writer");
//! handler.args(["handler", "--client", "--dir", "/var/crash/example"]);
//! let account = Account { executable: std::env::current_exe()?, bundle_version: "7.2".into(), ..Account::new(0) };
//! let _protection = Protection::start(handler, &account)?;
//! ```
//!
//! The handler calls `serve` with its standard input and the id of its parent.

mod account;
#[cfg(target_os = "macos")]
mod dump;
mod exception_message;
#[cfg(target_os = "macos")]
mod exceptions;
#[cfg(target_os = "macos")]
mod hand_over;
mod hand_over_message;
mod message;
mod pipe;
#[cfg(target_os = "macos")]
mod protect;
#[cfg(target_os = "macos")]
mod rights;
#[cfg(target_os = "macos")]
mod serve;
#[cfg(target_os = "macos")]
mod sys;
mod words;

pub use crate::protocol::Malformed;
pub use account::Account;
#[cfg(target_os = "macos")]
pub use dump::{DumpError, dump_crashed, dump_on_demand};
pub use exception_message::{Behavior, ExceptionMessage, Identity, ThreadState};
#[cfg(target_os = "macos")]
pub use exceptions::{Crashed, TakenOver, answer_exceptions, take_over};
#[cfg(target_os = "macos")]
pub use hand_over::{Client, HandOverError, Received, hand_over, receive};
pub use hand_over_message::{HandOver, PreviousHandler};
pub use message::{Port, Sender};
#[cfg(target_os = "macos")]
pub use protect::Protection;
#[cfg(target_os = "macos")]
pub use rights::{ReceiveRight, SendRight};
#[cfg(target_os = "macos")]
pub use serve::serve;
