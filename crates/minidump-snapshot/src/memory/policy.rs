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
    /// All readable memory, without devices, the kernel's data pages and what the program marked MADV_DONTDUMP.
    Full,
}

/// How much memory a dump takes. Sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryPolicy {
    /// Which kind of memory.
    pub mode: MemoryMode,
    /// Ranges (first address, size) that the application wants kept. Parts that cannot be read, and memory that the
    /// program asked to leave out of dumps, are left out.
    pub application: Vec<(u64, u64)>,
    /// Kept around each pointer in mode `Indirect`, a quarter of it in front of the pointer. Default 1 KiB.
    pub indirect_window: u64,
    /// Most memory that mode `Indirect` adds. Default 4 MiB.
    pub indirect_budget: u64,
    /// Keep the stacks only of threads that refer to this range (first address, size), and of the blamed one. Size 0
    /// stands for the whole module at the address, or else the whole mapping; when there is neither, no thread refers to it.
    pub only_stacks_referring_to: Option<(u64, u64)>,
    /// Most that is kept of the blamed thread's stack. Default 1 MiB.
    pub blamed_stack_cap: u64,
    /// Most that is kept of every other stack. Default 256 KiB.
    pub stack_cap: u64,
    /// What stacks are cut to before anything else of the threads is given up for `budget`. Default 4 KiB.
    pub stack_floor: u64,
    /// Kept around the instruction pointer of every thread, half on each side. Default 512.
    pub code_window: u64,
    /// Most memory in all, except in mode `Full`. What exceeds it is given up in this order: memory around pointers,
    /// the application's ranges, the loader's structures, the far ends of the stacks (those of the others first, the
    /// blamed one down to `stack_floor`), the code of the other threads, and last all of the blamed thread but what
    /// every thread keeps whatever the budget: 256 bytes of stack with the stack pointer inside. Default 256 MiB.
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
