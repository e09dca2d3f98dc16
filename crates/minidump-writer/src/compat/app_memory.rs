//! Memory that the application wants in the dump.

/// A range of the target's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AppMemory {
    /// First address.
    pub ptr: usize,
    /// Size in bytes.
    pub length: usize,
}

/// The ranges of a dump.
pub type AppMemoryList = Vec<AppMemory>;
