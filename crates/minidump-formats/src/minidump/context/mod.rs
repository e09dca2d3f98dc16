//! CPU contexts, one file per architecture.

mod amd64;
mod arm64;
mod kind;
mod x86;

pub use amd64::context as amd64_context;
pub use arm64::{context as arm64_context, old_context as old_arm64_context};
pub use kind::Arm64Context;
pub use x86::context as x86_context;

pub(crate) use kind::{CONTEXT_ALIGNMENT, ContextKind};
