//! Stream types of our own. The upper half spells "MD"; nobody else uses that range.

use scroll::{Pread, Pwrite, SizeWith};

/// Where the table of holes lies: one [`HoleLocator`](super::HoleLocator).
pub const HOLE_TABLE_STREAM: u32 = 0x4d44_0001;

/// What the thread list has no field for: a [`ListHeader`], then [`ThreadExtra`](super::ThreadExtra) entries.
pub const THREAD_EXTRA_STREAM: u32 = 0x4d44_0002;

/// Where the XSAVE areas of the threads lie: a [`ListHeader`], then [`XsaveArea`](super::XsaveArea) entries.
pub const XSAVE_LIST_STREAM: u32 = 0x4d44_0003;

/// What only Apple's systems tell and no other stream has a field for: an [`AppleRecord`](crate::apple_record::AppleRecord).
pub const APPLE_FACTS_STREAM: u32 = 0x4d44_0004;

/// The 64-bit registers of the threads of a 32-bit program of Windows: a [`ListHeader`], then
/// [`NativeContext`](super::NativeContext) entries.
pub const NATIVE_CONTEXTS_STREAM: u32 = 0x4d44_0005;

/// Start of our own list streams, 16 bytes. Later versions may make header and entries longer at their ends; readers
/// go by the sizes told here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pread, Pwrite, SizeWith)]
pub struct ListHeader {
    /// Size of this header in bytes.
    pub size_of_header: u32,
    /// Size of an entry in bytes.
    pub size_of_entry: u32,
    /// Number of entries.
    pub number_of_entries: u32,
    /// Zero.
    pub reserved: u32,
}
