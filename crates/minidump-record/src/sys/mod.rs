//! What the recorder needs of an operating system, picked by one `cfg`. All of it is raw system calls: nothing here
//! touches the C library, which a crashing process cannot rely on.

#[cfg(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64"))]
#[path = "linux_x86_64.rs"]
mod platform;

#[cfg(not(all(any(target_os = "linux", target_os = "android"), target_arch = "x86_64")))]
#[path = "unsupported.rs"]
mod platform;

pub(crate) use platform::{
    SUPPORTED, affinity_count, close, file_size_limit, identity, now, open_at, pread, process_id, processor,
    pwrite, read, read_entries, read_memory, thread_id, thread_pointer, truncate, uname, yield_now,
};

/// Error number of the operating system (`<asm-generic/errno-base.h>`), positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub i32);

impl Errno {
    pub(crate) const PERM: Self = Self(1);
    pub(crate) const INTR: Self = Self(4);
    pub(crate) const IO: Self = Self(5);
    pub(crate) const NFILE: Self = Self(23);
    pub(crate) const MFILE: Self = Self(24);
    pub(crate) const FBIG: Self = Self(27);
    pub(crate) const NOSYS: Self = Self(38);
}
