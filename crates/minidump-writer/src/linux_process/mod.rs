//! What a process of Linux is known by, on any host: the texts of its /proc, its memory, and the ELF images in it.
//!
//! The back end for Linux reads these from a live process, and the converter from a dump. Nothing here asks the system on
//! which it runs; whoever can reach the process' files lends them as [`ModuleFiles`](modules::ModuleFiles).

pub mod auxv;
pub mod loader;
pub mod maps;
pub mod modules;
#[cfg(feature = "convert")]
pub mod offline;
