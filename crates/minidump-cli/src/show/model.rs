//! What `show` found in a dump, as plain data. Serialised, it is the JSON that docs/show-json.md describes.

mod windows;

pub use windows::{ExceptionRecord, HandleType, Handles, UnloadedModule, Windows, WindowsThread};

use minidump_unwind::FrameTrust;
use serde::{Serialize, Serializer};

/// An address, written in hexadecimal: `"0x7f0012345678"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u64);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// A dump.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Dump {
    /// Path of the file.
    pub file: String,
    /// Size of the file.
    pub bytes: u64,
    /// What it unpacks to, when it is compressed.
    pub uncompressed_bytes: Option<u64>,
    /// What it was before it was converted for showing.
    pub format: Format,
    /// Whether the writer claims to have kept all memory.
    pub is_full: bool,
    /// Whether the writer claims to have removed what is not needed to unwind.
    pub is_sanitised: bool,
    /// When the dump was taken, in seconds since 1970.
    pub taken_at: u64,
    /// Why it was taken.
    pub crash: Crash,
    /// The machine and its operating system.
    pub system: System,
    /// The process.
    pub process: Process,
    /// Its threads, the blamed one first.
    pub threads: Vec<Thread>,
    /// Its modules, by ascending address.
    pub modules: Vec<Module>,
    /// Its memory.
    pub memory: Memory,
    /// What only dumps of Apple's systems tell.
    pub apple: Option<Apple>,
    /// What only dumps of Windows tell.
    pub windows: Option<Windows>,
    /// What the program said about itself.
    pub annotations: Vec<Annotation>,
    /// What the writer could not capture, as it wrote it.
    pub soft_errors: Vec<serde_json::Value>,
    /// What of the dump could not be read, or was left out here.
    pub warnings: Vec<String>,
}

/// Formats of dumps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Microsoft's.
    #[default]
    Minidump,
    /// An ELF core.
    Core,
    /// A Mach-O core.
    MachoCore,
}

/// What only dumps of Apple's systems tell of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Apple {
    /// The bits of a pointer that are no part of the address.
    pub address_mask: Option<Address>,
    /// What libraries left for crash reports.
    pub crash_info: Vec<CrashText>,
    /// What the kernel was started with.
    pub boot_args: Option<String>,
    /// What dyld said when it ended the process.
    pub dyld_error: Option<String>,
    /// Version of the bundle that the executable belongs to.
    pub bundle_version: Option<String>,
    /// The shared cache of system libraries.
    pub shared_cache: Option<SharedCache>,
}

/// Texts that a library left for crash reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrashText {
    /// Path of the library.
    pub module: String,
    /// Texts, where there are any.
    pub message: Option<String>,
    /// As `message`.
    pub signature: Option<String>,
    /// As `message`.
    pub backtrace: Option<String>,
    /// As `message`.
    pub message2: Option<String>,
}

/// The shared cache of system libraries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedCache {
    /// Its UUID.
    pub uuid: String,
    /// First address.
    pub base: Address,
    /// What is added to the addresses in its files.
    pub slide: Address,
}

/// What only dumps of Apple's systems tell of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppleThread {
    /// The whole id, of which the thread list has the lower half.
    pub id: u64,
    /// Label of the dispatch queue that the thread works for.
    pub dispatch_queue: Option<String>,
    /// How often it was suspended before the capture.
    pub suspend_count: u32,
    /// What the processor recorded of its last exception.
    pub fault: Option<Fault>,
}

/// What a processor recorded of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The address that was touched.
    pub address: Address,
    /// ESR on arm64, the error code on x86-64.
    pub syndrome: Address,
    /// The trap number on x86-64.
    pub number: u32,
}

/// A register and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Register {
    /// Name, as the architecture has it.
    pub name: String,
    /// Value.
    pub value: Address,
}

/// A key and a value that the program stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotation {
    /// The key. Empty for a text without one.
    pub key: String,
    /// The value.
    pub value: String,
    /// Position in the dump's module list of the module that stored it; `None` when the process did.
    pub module: Option<u32>,
}

/// Why a dump was taken.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Crash {
    /// Whether the process crashed. If not, somebody asked for the dump.
    pub crashed: bool,
    /// The reason in the words of the operating system.
    pub reason: Option<String>,
    /// The faulting address, or where the thread was.
    pub address: Option<Address>,
    /// The thread that crashed or is blamed.
    pub thread: Option<u32>,
    /// `si_code` of a signal: where it comes from.
    pub signal_code: Option<i32>,
    /// What a page fault tried.
    pub access: Option<Access>,
    /// Who sent the signal.
    pub sender: Option<Sender>,
}

/// What was tried with memory that did not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// To read it.
    Read,
    /// To write it.
    Write,
    /// To run it.
    Execute,
}

/// The process that sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// Its id.
    pub pid: u32,
    /// Its real user.
    pub uid: u32,
}

/// Where the process ran.
#[derive(Debug, Clone, Default, Serialize)]
pub struct System {
    /// Operating system: `Linux`.
    pub os: String,
    /// Its version and build.
    pub os_version: String,
    /// The distribution, from its release file.
    pub distribution: Option<String>,
    /// Processor architecture: `amd64`.
    pub cpu: String,
    /// Vendor and model of the processor.
    pub cpu_info: Option<String>,
    /// How many processors.
    pub processors: u8,
}

/// The process as a whole. Times in seconds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Process {
    /// Process id.
    pub pid: Option<u32>,
    /// File name of the executable.
    pub name: Option<String>,
    /// The arguments it was started with.
    pub command_line: Option<Vec<String>>,
    /// When it started, since 1970.
    pub started_at: Option<u64>,
    /// How old it was.
    pub uptime: Option<u64>,
    /// CPU time in user mode.
    pub user_time: Option<u64>,
    /// CPU time in the kernel.
    pub kernel_time: Option<u64>,
}

/// A thread.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Thread {
    /// Thread id.
    pub id: u32,
    /// Name.
    pub name: Option<String>,
    /// Whether this thread crashed, or was pointed at when the dump was taken.
    pub blamed: bool,
    /// What only dumps of Apple's systems tell.
    pub apple: Option<AppleThread>,
    /// What only dumps of Windows tell.
    pub windows: Option<WindowsThread>,
    /// Its registers; of the blamed thread only.
    pub registers: Option<Vec<Register>>,
    /// Its stack, innermost frame first.
    pub frames: Vec<Frame>,
    /// How many frames were left out of the middle of `frames`.
    pub frames_omitted: usize,
    /// Why the stack is missing or incomplete.
    pub note: Option<String>,
}

/// A function on a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frame {
    /// Number, from 0 for the innermost. Inlined functions count.
    pub index: usize,
    /// The instruction executed: of the innermost function the next one, of others one inside their call.
    pub instruction: Address,
    /// The function, demangled.
    pub function: Option<String>,
    /// How far behind the start of the function the instruction is. Unknown for inlined functions.
    pub function_offset: Option<Address>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u32>,
    /// File name of the module.
    pub module: Option<String>,
    /// How far behind the base of the module the instruction is.
    pub module_offset: Option<Address>,
    /// Whether the module is one that was unloaded from there: what else may have been there cannot be told.
    pub unloaded: bool,
    /// Whether the compiler inlined this function into that of the next frame.
    pub inlined: bool,
    /// How the frame was found.
    pub trust: Trust,
}

/// How a frame was found, from the most to the least trustworthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The registers say so.
    Context,
    /// The caller's call frame information says so.
    CallFrameInfo,
    /// The frame pointer says so.
    FramePointer,
    /// It looks like a return address.
    Scan,
    /// Told by somebody else.
    Unknown,
}

impl From<FrameTrust> for Trust {
    fn from(trust: FrameTrust) -> Self {
        match trust {
            FrameTrust::Context => Self::Context,
            FrameTrust::CallFrameInfo => Self::CallFrameInfo,
            FrameTrust::FramePointer => Self::FramePointer,
            FrameTrust::Scan | FrameTrust::CfiScan => Self::Scan,
            FrameTrust::PreWalked | FrameTrust::None => Self::Unknown,
        }
    }
}

/// A loaded image.
#[derive(Debug, Clone, Serialize)]
pub struct Module {
    /// Its first address.
    pub base: Address,
    /// Its size in bytes.
    pub size: u64,
    /// Build id in hexadecimal, or what else identifies it.
    pub id: Option<String>,
    /// Of a PE image: what its file is looked up by, time stamp and size.
    pub code_id: Option<String>,
    /// Of a PE image: path of its program database (PDB), where it was made.
    pub debug_file: Option<String>,
    /// Path.
    pub path: String,
    /// Version, when it has one.
    pub version: Option<String>,
    /// What came of looking for its file on this machine.
    pub symbols: SymbolsFound,
}

/// What came of looking for the file of a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SymbolsFound {
    /// No frame needed it.
    #[default]
    NotNeeded,
    /// The very build was found, with source lines.
    Lines,
    /// The very build was found, with function names at most.
    Names,
    /// Nothing was found under its path.
    Missing,
    /// Another build, or something else than an ELF or Mach-O file, was found.
    Mismatch,
}

/// The memory in a dump.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Memory {
    /// Ranges held.
    pub ranges: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Of these, zeros in place of what could not be read, when that is known.
    pub missing: Option<u64>,
    /// Regions of the process's memory map, held or not.
    pub regions: Option<u64>,
}
