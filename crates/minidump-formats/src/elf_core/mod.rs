//! The ELF core encoder: a core file as gdb and LLDB open it.
//!
//! It has the two phases of [`minidump`](crate::minidump): [`layout`] is pure and knows every offset and the exact size,
//! [`CoreLayout::write`] goes once from front to back. The order of the file:
//!
//! 1. ELF header and program headers; with more than 65,534 of these, a section header that tells their number,
//! 2. the notes, in the order of Linux: those of the blamed thread and of the process, then those of the other threads,
//! 3. our own notes: soft errors, facts, texts of /proc, where the table of holes lies,
//! 4. the memory, in the order of the plan,
//! 5. the table of holes, which are not known before the memory has been read.
//!
//! All of the target's memory map is listed. Memory that the plan does not keep is a segment without contents; a
//! debugger then takes the bytes from the mapped file, if it has one.
//!
//! `docs/elf-core-format.md` describes the notes one by one.

mod amd64;
mod elf;
mod facts;
mod fields;
mod file_note;
mod layout;
mod note;
mod own_notes;
mod process_notes;
mod segments;
mod siginfo;
mod status;
mod thread_notes;
mod wanted;
mod write;

pub use crate::minidump::{FormatError, Hole, HoleEntry, HoleLocator, HoleTableHeader, Written};
pub use layout::{CoreLayout, CoreOptions, layout};
pub use own_notes::{FACTS_NOTE, HOLE_TABLE_NOTE, OWNER, SOFT_ERRORS_NOTE};
pub use wanted::wanted_ranges;

// The Mach-O core encoder shares this.
pub(crate) use fields::Fields;
