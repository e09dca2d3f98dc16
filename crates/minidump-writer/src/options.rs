use minidump_snapshot::{Crash, MemoryPolicy, Module};
use std::time::Duration;

/// Format of a dump.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Microsoft's minidump with the streams of Breakpad and Mozilla.
    #[default]
    Minidump,
    /// An ELF core file, as gdb and LLDB open it. Of processes of Linux and Android.
    ElfCore,
    /// A Mach-O core file, as LLDB opens it. Of processes of Apple's systems.
    MachOCore,
}

/// Values that take the place of those in the target's auxiliary vector; zero means not known.
///
/// For targets whose /proc/PID/auxv cannot be read by the dumper, such as sandboxed processes that hand these over
/// themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuxvOverride {
    /// AT_PHNUM: number of program headers of the executable.
    pub phnum: u64,
    /// AT_PHDR: address of the program headers.
    pub phdr: u64,
    /// AT_SYSINFO_EHDR: address of the vdso.
    pub sysinfo_ehdr: u64,
    /// AT_ENTRY: address of the entry point.
    pub entry: u64,
}

/// What to capture, how long to try, and what to leave out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DumpOptions {
    /// The thread to put first and to keep most stack of. Default: that of `crash`, else the main thread, or the
    /// lowest one still alive.
    pub blamed_thread: Option<u32>,
    /// The crash, as the crashing program recorded it. Default: none; the dump then says that it was asked for.
    pub crash: Option<Crash>,
    /// Format of the file.
    pub format: Format,
    /// Which memory to keep.
    pub memory: MemoryPolicy,
    /// With [`MemoryMode::Full`](crate::snapshot::MemoryMode::Full): take the memory from a copy-on-write copy of the
    /// process, so that it stands still only while that is made. Where that cannot be done safely there is no dump but
    /// [`Error::CopyRefused`](crate::Error::CopyRefused). Other modes copy what they need anyway.
    pub copy_on_write: bool,
    /// Deface all words of stacks that are no pointers into stacks, code or modules, and no small integers.
    pub sanitize: bool,
    /// Stream types to leave out of a minidump.
    pub omit: Vec<u32>,
    /// Keep the values of environment variables whose names look secret. Default false: they are blanked, in the
    /// environment's own text and where the program keeps it in memory that the dump takes.
    pub keep_environ: bool,
    /// What the application says about itself, for readers to show.
    pub annotations: Vec<(String, String)>,
    /// Modules that the caller knows better, for example code that it mapped itself. A found module that overlaps one
    /// of these gives way to it.
    pub user_modules: Vec<Module>,
    /// Values that take the place of those in the target's auxiliary vector.
    pub auxv: Option<AuxvOverride>,
    /// Longest that the target may stand still for a full-memory dump without `copy_on_write`, which is written
    /// meanwhile. What has not been written by then is a hole. Default 120 s.
    pub hold_limit: Duration,
    /// Longest that the target may stand still while its threads are being stopped. Threads that have not stopped by
    /// then are listed without registers. Default 5 s.
    pub deadline: Duration,
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self {
            blamed_thread: None,
            crash: None,
            format: Format::Minidump,
            memory: MemoryPolicy::default(),
            copy_on_write: false,
            sanitize: false,
            omit: Vec::new(),
            keep_environ: false,
            annotations: Vec::new(),
            user_modules: Vec::new(),
            auxv: None,
            hold_limit: Duration::from_secs(120),
            deadline: Duration::from_secs(5),
        }
    }
}
