//! Which memory belongs into a dump, and where its bytes come from.

mod buffer;
mod plan;
mod policy;
mod source;
mod stack;
pub(crate) mod words;

pub use buffer::BufferSource;
pub use plan::{MemoryPlan, PlannedRange, Purpose, ThreadStack};
pub use policy::{MemoryMode, MemoryPolicy};
pub use source::{MemorySource, ReadEnd, ReadOutcome, ReadRequest};
pub use stack::{StackWindow, interrupted_stack, stack_window};

pub(crate) use stack::stack_extents;
