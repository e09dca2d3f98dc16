//! Registers of threads: from the system's CONTEXT structures to the model.

#[cfg(target_arch = "x86_64")]
pub mod amd64;
#[cfg(target_arch = "aarch64")]
pub mod arm64;
mod context;
mod fields;
mod live;
mod readers;
pub mod x86;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod xstate;

#[cfg(target_arch = "x86_64")]
pub use amd64 as native;
#[cfg(target_arch = "aarch64")]
pub use arm64 as native;
pub use context::Context;
pub use fields::Fields;
pub use live::Registers;
pub use readers::Readers;
#[cfg(target_arch = "x86")]
pub use x86 as native;
