//! Programs that crash in chosen ways and write their own dump, and what is in it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod child;
mod contents;
mod crashes;
mod dump;
mod full_disk;
mod system_calls;
