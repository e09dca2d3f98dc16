//! The Mach-O core encoder: a core file of a process of macOS or its kin as LLDB opens it.
//!
//! It has the two phases of [`elf_core`](crate::elf_core): [`layout`] is pure and knows every offset and the exact size,
//! [`MachoCoreLayout::write`] goes once from front to back. The order of the file:
//!
//! 1. Mach-O header and load commands: the notes', the threads' (the crashed one first), the segments',
//! 2. what is in the notes, each from a multiple of 16 on: those that LLDB reads, then our own,
//! 3. the memory, in the order of the plan, from a multiple of 4,096 on,
//! 4. the table of holes, which are not known before the memory has been read.
//!
//! Only memory that the plan keeps is a segment. What a segment holds counts more for LLDB than the file of the module,
//! so nothing is rounded up to pages.
//!
//! `docs/macho-core-format.md` describes the notes one by one.

mod amd64;
mod architecture;
mod arm64;
mod image_infos;
mod layout;
mod mach_o;
mod main_binary;
mod notes;
mod own_note;
mod segments;
mod thread_commands;
mod write;

pub use crate::minidump::{FormatError, Hole, Written};
pub use layout::{MachoCoreLayout, MachoCoreOptions, layout};
pub use own_note::OWN_NOTE;
