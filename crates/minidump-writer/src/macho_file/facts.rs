//! The note of our own encoder: what is in it, as foreign input. What is missing is unknown.

mod bounded;

use super::registers::RawThread;
use crate::snapshot::cpu::DebugRegisters;
use crate::snapshot::{
    AppleFacts, AppleThread, CpuState, CrashInfo, Exception, FaultState, FileVersion, Handle, HandleKind,
    MachImage, MachSegment, Module, ModuleId, Process, Protection, Region, RegionKind, SharedCache,
    SoftError, System, Thread, ThreadTimes,
};
use bounded::at_most;
use serde::Deserialize;

/// Most images, and most of what is told of each in a few bytes.
const MAX_IMAGES: usize = 1 << 16;
/// Most threads.
const MAX_THREADS: usize = 1 << 16;
/// Most bytes of names that regions share with modules: a small file could repeat a long one very often.
const MOST_REPEATED: usize = 64 << 20;
/// Most regions and handles.
const MAX_REGIONS: usize = 1 << 20;
/// Most texts that libraries left, and annotations.
const MAX_TEXTS: usize = 1 << 12;

/// The object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub captured_at_us: u64,
    pub blamed_thread: Option<u32>,
    pub exception: Option<Exception>,
    process: ProcessFacts,
    pub system: Option<System>,
    #[serde(deserialize_with = "at_most::<MAX_THREADS, _, _>")]
    threads: Vec<ThreadFacts>,
    #[serde(deserialize_with = "at_most::<MAX_IMAGES, _, _>")]
    modules: Vec<ModuleFacts>,
    apple: Option<AppleFactsIn>,
    #[serde(deserialize_with = "at_most::<MAX_TEXTS, _, _>")]
    pub annotations: Vec<(String, String)>,
    #[serde(deserialize_with = "at_most::<MAX_REGIONS, _, _>")]
    handles: Vec<HandleFacts>,
    #[serde(deserialize_with = "at_most::<MAX_REGIONS, _, _>")]
    regions: Vec<(u64, u64, u8, RegionKind, u8, u64, Name)>,
    /// The core holds all memory that there was.
    pub full_memory: bool,
    #[serde(deserialize_with = "at_most::<MAX_REGIONS, _, _>")]
    pub soft_errors: Vec<SoftError>,
    pub hole_table: Option<HoleTable>,
}

/// Where the table of holes lies.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct HoleTable {
    pub offset: u64,
    pub capacity: u32,
}

/// Raw bytes, which are an array of numbers when they are no UTF-8.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Bytes(Vec<u8>),
}

/// The name of a region.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    /// The path of the module with this index.
    Module(usize),
    Own(Text),
}

impl Default for Text {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl From<Text> for Vec<u8> {
    fn from(text: Text) -> Self {
        match text {
            Text::Text(text) => text.into_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProcessFacts {
    pid: u32,
    parent_pid: Option<u32>,
    uid: Option<u32>,
    executable: Option<Text>,
    start_us: Option<u64>,
    user_us: Option<u64>,
    kernel_us: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ThreadFacts {
    id: u32,
    command: Option<usize>,
    registers: bool,
    name: Option<Text>,
    state: Option<char>,
    priority: Option<i32>,
    affinity: Option<u64>,
    times: Option<ThreadTimes>,
    thread_pointer: Option<u64>,
    apple: Option<AppleThreadFacts>,
    amd64: Option<Amd64Facts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AppleThreadFacts {
    id: u64,
    handle: u64,
    dispatch_queue: Option<Text>,
    suspend_count: u32,
    fault: Option<FaultState>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Amd64Facts {
    ss: u16,
    ds: u16,
    es: u16,
    fs_base: u64,
    gs_base: u64,
    orig_rax: u64,
    xsave: String,
    debug: Option<DebugRegisters>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ModuleFacts {
    base: u64,
    size: u64,
    path: Text,
    soname: Option<String>,
    soname_is_path: bool,
    version: Option<[u32; 4]>,
    uuid: Option<String>,
    is_main: bool,
    deleted: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AppleFactsIn {
    cpu_type: u32,
    cpu_subtype: u32,
    os_build: String,
    address_bits: Option<u8>,
    dyld_all_image_infos: Option<u64>,
    dyld_version: Option<u32>,
    dyld_error: Option<Text>,
    shared_cache: Option<SharedCacheFacts>,
    #[serde(deserialize_with = "at_most::<MAX_IMAGES, _, _>")]
    images: Vec<ImageFacts>,
    #[serde(deserialize_with = "at_most::<MAX_TEXTS, _, _>")]
    crash_info: Vec<CrashInfoFacts>,
    boot_args: Option<String>,
    bundle_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SharedCacheFacts {
    uuid: String,
    base: u64,
    slide: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ImageFacts {
    base: u64,
    slide: u64,
    file_type: u32,
    cpu_subtype: u32,
    header_size: u64,
    executing: bool,
    segments: Vec<(Text, u64, u64, u8)>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CrashInfoFacts {
    module_path: Text,
    version: u64,
    thread: u64,
    dialog_mode: u64,
    abort_cause: Option<u64>,
    message: Text,
    signature: Text,
    backtrace: Text,
    message2: Text,
}

#[derive(Debug, Deserialize)]
struct HandleFacts {
    value: u64,
    kind: HandleKind,
    target: Text,
    mode: Option<u32>,
    open_flags: Option<u32>,
}

impl Facts {
    /// Parses the note; of one that makes no sense nothing is known.
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    pub fn take_process(&mut self) -> Process {
        let facts = std::mem::take(&mut self.process);
        Process {
            pid: facts.pid,
            parent_pid: facts.parent_pid,
            uid: facts.uid,
            executable: facts.executable.map(Into::into),
            start_time_us: facts.start_us,
            user_time_us: facts.user_us,
            kernel_time_us: facts.kernel_us,
        }
    }

    /// The threads, with the registers of `raw`.
    pub fn take_threads(&mut self, raw: &[RawThread]) -> Vec<Thread> {
        let threads = std::mem::take(&mut self.threads).into_iter();
        threads.map(|facts| facts.thread(raw)).collect()
    }

    pub fn take_modules(&mut self) -> Vec<Module> {
        std::mem::take(&mut self.modules).into_iter().map(ModuleFacts::module).collect()
    }

    pub fn take_apple(&mut self) -> Option<AppleFacts> {
        self.apple.take().map(AppleFactsIn::facts)
    }

    pub fn take_handles(&mut self) -> Vec<Handle> {
        let handle = |facts: HandleFacts| {
            let HandleFacts { value, kind, target, mode, open_flags } = facts;
            Handle { value, kind, target: target.into(), mode, open_flags }
        };
        std::mem::take(&mut self.handles).into_iter().map(handle).collect()
    }

    /// `modules` are those of [`take_modules`](Self::take_modules).
    pub fn take_regions(&mut self, modules: &[Module]) -> Vec<Region> {
        let mut room = MOST_REPEATED;
        let mut named = |name| match name {
            Name::Own(text) => text.into(),
            Name::Module(index) => {
                let path = modules.get(index).map(|module| module.path.clone()).unwrap_or_default();
                room = room.saturating_sub(path.len());
                if room == 0 { Vec::new() } else { path }
            }
        };
        let region = |(start, size, rights, kind, flags, offset, name): (_, u64, _, _, u8, _, Name)| Region {
            start,
            end: size.saturating_add(start),
            protection: Protection::from_bits_truncate(rights),
            shared: flags & 1 != 0,
            kind,
            dont_dump: flags & 2 != 0,
            offset,
            name: named(name),
        };
        std::mem::take(&mut self.regions).into_iter().map(region).collect()
    }
}

impl ThreadFacts {
    fn thread(self, raw: &[RawThread]) -> Thread {
        let mut thread = Thread::new(self.id);
        let known = self.command.and_then(|index| raw.get(index)).cloned().unwrap_or_default();
        thread.cpu = known.cpu;
        if let (Some(CpuState::Amd64(state)), Some(facts)) = (&mut thread.cpu, self.amd64) {
            (state.ss, state.ds, state.es) = (facts.ss, facts.ds, facts.es);
            (state.fs_base, state.gs_base, state.orig_rax) = (facts.fs_base, facts.gs_base, facts.orig_rax);
            state.xsave.extend(bytes(&facts.xsave).unwrap_or_default());
            state.debug = facts.debug;
        }
        if !self.registers {
            thread.fallback_sp_ip =
                thread.cpu.take().map(|cpu| (cpu.stack_pointer(), cpu.instruction_pointer()));
        }
        thread.name = self.name.map(Into::into);
        thread.state = self.state;
        thread.priority = self.priority;
        thread.affinity = self.affinity;
        thread.times = self.times;
        thread.thread_pointer = self.thread_pointer;
        thread.apple = self.apple.map(|facts| Box::new(facts.thread()));
        thread
    }
}

impl AppleThreadFacts {
    fn thread(self) -> AppleThread {
        let Self { id, handle, dispatch_queue, suspend_count, fault } = self;
        AppleThread { id, handle, dispatch_queue: dispatch_queue.map(Into::into), suspend_count, fault }
    }
}

impl ModuleFacts {
    fn module(self) -> Module {
        let version =
            self.version.map(|[major, minor, patch, build]| FileVersion { major, minor, patch, build });
        let path: Vec<u8> = self.path.into();
        let text = |bytes| String::from_utf8(bytes).ok();
        Module {
            base: self.base,
            size: self.size,
            soname: self.soname.or_else(|| Some(path.clone()).filter(|_| self.soname_is_path).and_then(text)),
            path,
            version,
            id: self.uuid.as_deref().and_then(uuid).map(ModuleId::Uuid),
            is_main: self.is_main,
            deleted: self.deleted,
        }
    }
}

impl AppleFactsIn {
    fn facts(self) -> AppleFacts {
        let cache = |facts: SharedCacheFacts| {
            Some(SharedCache { uuid: uuid(&facts.uuid)?, base: facts.base, slide: facts.slide })
        };
        AppleFacts {
            cpu_type: self.cpu_type,
            cpu_subtype: self.cpu_subtype,
            os_build: self.os_build,
            address_bits: self.address_bits,
            dyld_all_image_infos: self.dyld_all_image_infos,
            dyld_version: self.dyld_version,
            dyld_error: self.dyld_error.map(Into::into),
            shared_cache: self.shared_cache.and_then(cache),
            images: self.images.into_iter().map(ImageFacts::image).collect(),
            crash_info: self.crash_info.into_iter().map(CrashInfoFacts::info).collect(),
            boot_args: self.boot_args,
            bundle_version: self.bundle_version,
        }
    }
}

impl ImageFacts {
    fn image(self) -> MachImage {
        let Self { base, slide, file_type, cpu_subtype, header_size, executing, segments } = self;
        let segment = |(name, address, size, rights): (Text, u64, u64, u8)| {
            let mut padded = [0; 16];
            let name: Vec<u8> = name.into();
            for (to, from) in padded.iter_mut().zip(name) {
                *to = from;
            }
            MachSegment { name: padded, address, size, protection: Protection::from_bits_truncate(rights) }
        };
        let segments = segments.into_iter().map(segment).collect();
        MachImage { base, slide, file_type, cpu_subtype, header_size, segments, executing }
    }
}

impl CrashInfoFacts {
    fn info(self) -> CrashInfo {
        CrashInfo {
            module_path: self.module_path.into(),
            version: self.version,
            thread: self.thread,
            dialog_mode: self.dialog_mode,
            abort_cause: self.abort_cause,
            message: self.message.into(),
            signature: self.signature.into(),
            backtrace: self.backtrace.into(),
            message2: self.message2.into(),
        }
    }
}

fn uuid(digits: &str) -> Option<[u8; 16]> {
    bytes(digits)?.try_into().ok()
}

/// Bytes of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(value(*high)? << 4 | value(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
