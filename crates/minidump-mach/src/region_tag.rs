use std::fmt;

/// What memory is for, as its owner told the kernel: `user_tag`, VM_MEMORY_* of mach/vm_statistics.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RegionTag(pub u32);

impl RegionTag {
    /// VM_MEMORY_IOKIT: memory of devices, which must not be read.
    pub const IOKIT: Self = Self(21);
    /// VM_MEMORY_STACK.
    pub const STACK: Self = Self(30);
    /// VM_MEMORY_GUARD.
    pub const GUARD: Self = Self(31);
    /// VM_MEMORY_SHARED_PMAP: the shared cache.
    pub const SHARED_PMAP: Self = Self(32);
    /// VM_MEMORY_DYLIB: data of a library.
    pub const DYLIB: Self = Self(33);
    /// VM_MEMORY_DYLD: dyld's own memory.
    pub const DYLD: Self = Self(60);

    /// What vmmap(1) and others call it; `None` where nothing is known of it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "MALLOC",
            2 => "MALLOC_SMALL",
            3 => "MALLOC_LARGE",
            4 => "MALLOC_HUGE",
            6 => "REALLOC",
            7 => "MALLOC_TINY",
            8 => "MALLOC_LARGE (reusable)",
            9 => "MALLOC_LARGE (reused)",
            11 => "MALLOC_NANO",
            12 => "MALLOC_MEDIUM",
            20 => "MACH_MSG",
            21 => "IOKit",
            30 => "Stack",
            31 => "Guard",
            32 => "Shared pmap",
            33 => "Dylib",
            34 => "Obj-C dispatchers",
            35 => "Unshared pmap",
            60 => "dyld",
            61 => "dyld malloc",
            73 => "libdispatch",
            _ => return None,
        })
    }
}

impl fmt::Display for RegionTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "tag {}", self.0),
        }
    }
}
