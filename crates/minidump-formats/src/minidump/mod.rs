//! The minidump encoder.
//!
//! Encoding has two phases. [`layout`] is pure: it builds everything but the target's memory in one buffer and knows
//! every offset and the exact size of the file. [`Layout::write`] then goes once from front to back, so the output
//! needs no seeking and the memory is never held as a whole. The order of the file is that of importance:
//!
//! 1. header and directory,
//! 2. the exception and the thread list, registers of the blamed thread first,
//! 3. the other small streams,
//! 4. the texts of /proc, soft errors, the memory list,
//! 5. the memory, in the order of the plan,
//! 6. the table of holes, which are not known before the memory has been read.
//!
//! `docs/minidump-format.md` describes the streams one by one.

mod apple_exception;
mod context;
mod copy_memory;
mod deferred;
mod dir_section;
mod error;
mod gather;
mod header_flags;
mod holes;
mod layout;
mod memory_block;
mod memory_writer;
mod own_sections;
mod private_streams;
mod section;
mod streams;
mod tail;
mod time;
mod write;

pub use context::{Arm64Context, amd64_context, arm64_context, old_arm64_context, x86_context};
pub use dir_section::DirSection;
pub use error::FormatError;
pub use holes::{Hole, HoleEntry, HoleLocator, HoleTableHeader};
pub use layout::{Layout, LayoutOptions, layout};
pub use memory_writer::{MemoryWriter, ReservedArray};
pub use minidump_common::format::MINIDUMP_DIRECTORY as MDRawDirectory;
pub use private_streams::{
    APPLE_FACTS_STREAM, HOLE_TABLE_STREAM, ListHeader, NATIVE_CONTEXTS_STREAM, THREAD_EXTRA_STREAM,
    XSAVE_LIST_STREAM,
};
pub use section::SectionWriter;
pub use streams::{NativeContext, ThreadExtra, ThreadExtraFlags, XsaveArea};
pub use write::Written;

// The ELF core encoder shares these.
pub(crate) use copy_memory::copy_memory;
pub(crate) use gather::Gather;
pub(crate) use holes::HoleLog;
pub(crate) use layout::{hole_capacity, page_size};
pub(crate) use memory_block::MemoryBlock;
pub(crate) use streams::is_exact;
