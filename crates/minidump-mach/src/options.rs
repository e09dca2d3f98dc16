use crate::ThreadPort;
use minidump_snapshot::MemoryPolicy;

/// For which format memory is planned. What debuggers need of it differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PlanKind {
    /// Stacks, and the code around every instruction pointer.
    #[default]
    Minidump,
    /// Stacks, and eight bytes of code at every return address that a chain of frame records leads to: without them LLDB
    /// stops there. No byte at the instruction pointer of a thread whose innermost function has no frame record: with one,
    /// LLDB looks for a record nevertheless, and loses the caller.
    Core,
}

/// Of which images header and load commands are kept, in a core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ImageHeaders {
    /// Of none: the lists of a core tell names, identities and addresses.
    #[default]
    None,
    /// Of those that have a frame on a stack.
    Executing,
    /// Of all.
    All,
}

/// What to capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// For which format.
    pub plan: PlanKind,
    /// How much memory.
    pub memory: MemoryPolicy,
    /// Of which images the headers are kept.
    pub image_headers: ImageHeaders,
    /// With all memory, keep also the code and the constants of the shared cache, which are gigabytes and the same in every
    /// process.
    pub shared_cache: bool,
    /// Id, or the lower half of it, of the thread that the dump is about, unless a crash tells.
    pub blamed_thread: Option<u64>,
    /// A thread that only handles the crash, and is left out.
    pub handler_thread: Option<ThreadPort>,
    /// Path of the main executable, for the case that dyld does not tell it.
    pub executable: Option<Vec<u8>>,
    /// Version of the bundle, as the crashing process told it.
    pub bundle_version: Option<String>,
    /// Name and version of the capturing program.
    pub program: String,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            plan: PlanKind::default(),
            memory: MemoryPolicy::default(),
            image_headers: ImageHeaders::default(),
            shared_cache: false,
            blamed_thread: None,
            handler_thread: None,
            executable: None,
            bundle_version: None,
            program: concat!("minidump-mach ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
