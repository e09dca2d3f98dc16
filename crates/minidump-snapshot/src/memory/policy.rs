use serde::{Deserialize, Serialize};

/// Which kind of memory a dump takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryMode {
    /// Stacks, code around instruction pointers, the loader's structures.
    #[default]
    Stacks,
    /// Those, and bounded memory around pointers found in registers and stacks.
    Indirect,
    /// All readable memory, without devices and what the program marked MADV_DONTDUMP.
    Full,
}

/// How much memory a dump takes. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPolicy {
    /// Which kind of memory.
    pub mode: MemoryMode,
    /// Ranges (first address, size) that the application wants kept; parts that are not mapped are left out.
    pub application: Vec<(u64, u64)>,
    /// Kept around each pointer in mode `Indirect`. Default 1 KiB.
    pub indirect_window: u64,
    /// Most memory that mode `Indirect` adds. Default 4 MiB.
    pub indirect_budget: u64,
    /// Keep the stacks only of threads that refer to this range (first address, size), and of the blamed one.
    pub only_stacks_referring_to: Option<(u64, u64)>,
    /// Most that is kept of the blamed thread's stack. Default 1 MiB.
    pub blamed_stack_cap: u64,
    /// Most that is kept of every other stack. Default 256 KiB.
    pub stack_cap: u64,
    /// Least that a stack is cut to when the whole would exceed `budget`. Default 4 KiB.
    pub stack_floor: u64,
    /// Kept around the instruction pointer of every thread, half on each side. Default 512.
    pub code_window: u64,
    /// Most memory in all. When the stacks exceed it, those of threads that are not blamed are cut further, down to
    /// `stack_floor`. Default 256 MiB.
    pub budget: u64,
}

impl Default for MemoryPolicy {
    fn default() -> Self {
        Self {
            mode: MemoryMode::Stacks,
            application: Vec::new(),
            indirect_window: 1 << 10,
            indirect_budget: 4 << 20,
            only_stacks_referring_to: None,
            blamed_stack_cap: 1 << 20,
            stack_cap: 256 << 10,
            stack_floor: 4 << 10,
            code_window: 512,
            budget: 256 << 20,
        }
    }
}
