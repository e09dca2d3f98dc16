//! The facts that our own encoder adds to a core.

use crate::snapshot::{
    DsoDebug, Exception, FileVersion, Module, ModuleId, Process, Snapshot, System, Thread, ThreadTimes,
};
use serde::Deserialize;
use std::collections::HashMap;

/// The JSON of the note. What is missing is unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Facts {
    captured_at_us: u64,
    blamed_thread: Option<u32>,
    process: ProcessFacts,
    pub system: Option<System>,
    exception: Option<Exception>,
    threads: Vec<ThreadFacts>,
    modules: Vec<ModuleFacts>,
    annotations: Vec<(String, String)>,
    dso_debug: Option<DsoDebug>,
    /// The core holds all memory that there was.
    pub full_memory: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProcessFacts {
    parent_pid: Option<u32>,
    uid: Option<u32>,
    executable: Option<String>,
    start_us: Option<u64>,
    user_us: Option<u64>,
    kernel_us: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ThreadFacts {
    id: u32,
    name: Option<String>,
    registers: bool,
    state: Option<char>,
    priority: Option<i32>,
    affinity: Option<u64>,
    start_us: Option<u64>,
    user_us: Option<u64>,
    kernel_us: Option<u64>,
    thread_pointer: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ModuleFacts {
    base: u64,
    size: u64,
    path: String,
    soname: Option<String>,
    version: Option<[u32; 4]>,
    build_id: Option<String>,
    text_hash: Option<String>,
    is_main: bool,
    deleted: bool,
}

impl Facts {
    /// Parses the note; of one that makes no sense nothing is known.
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The modules by address, without overlaps.
    pub fn modules(&self) -> Vec<Module> {
        let mut modules: Vec<Module> = self.modules.iter().map(ModuleFacts::module).collect();
        modules.sort_by_key(|module| module.base);
        let mut floor = 0;
        modules.retain(|module| {
            let is_free = module.base >= floor && module.size > 0;
            floor = if is_free { module.base.saturating_add(module.size) } else { floor };
            is_free
        });
        modules
    }

    /// Puts in what the notes of Linux do not tell.
    pub fn fill(self, snapshot: &mut Snapshot) {
        snapshot.captured_at_us = self.captured_at_us;
        snapshot.blamed_thread = self.blamed_thread;
        snapshot.annotations = self.annotations;
        if self.exception.is_some() {
            snapshot.exception = self.exception;
        }
        self.process.fill(&mut snapshot.process);
        let mut threads: HashMap<u32, ThreadFacts> =
            self.threads.into_iter().map(|facts| (facts.id, facts)).collect();
        for thread in &mut snapshot.threads {
            if let Some(facts) = threads.remove(&thread.id) {
                facts.fill(thread);
            }
        }
        if let Some(facts) = &mut snapshot.linux {
            facts.dso_debug = self.dso_debug.or(facts.dso_debug.take());
        }
    }
}

impl ProcessFacts {
    fn fill(self, process: &mut Process) {
        process.parent_pid = self.parent_pid.or(process.parent_pid);
        process.uid = self.uid.or(process.uid);
        process.executable = self.executable.map(String::into_bytes).or(process.executable.take());
        process.start_time_us = self.start_us;
        process.user_time_us = self.user_us;
        process.kernel_time_us = self.kernel_us;
    }
}

impl ThreadFacts {
    fn fill(self, thread: &mut Thread) {
        thread.name = self.name.map(String::into_bytes);
        thread.state = self.state;
        thread.priority = self.priority;
        thread.affinity = self.affinity;
        thread.thread_pointer = self.thread_pointer;
        let times = self.start_us.zip(self.user_us).zip(self.kernel_us);
        thread.times =
            times.map(|((start_us, user_us), kernel_us)| ThreadTimes { start_us, user_us, kernel_us });
        if !self.registers
            && let Some(cpu) = thread.cpu.take()
        {
            thread.fallback_sp_ip = Some((cpu.stack_pointer(), cpu.instruction_pointer()));
        }
    }
}

impl ModuleFacts {
    fn module(&self) -> Module {
        let version =
            self.version.map(|[major, minor, patch, build]| FileVersion { major, minor, patch, build });
        Module {
            base: self.base,
            size: self.size,
            path: self.path.clone().into_bytes(),
            soname: self.soname.clone(),
            version,
            id: self.id(),
            is_main: self.is_main,
            deleted: self.deleted,
        }
    }

    fn id(&self) -> Option<ModuleId> {
        let build_id = self.build_id.as_deref().and_then(bytes).map(ModuleId::BuildId);
        let hash = self.text_hash.as_deref().and_then(bytes).and_then(|hash| hash.try_into().ok());
        build_id.or(hash.map(ModuleId::TextHash))
    }
}

/// Bytes of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| Some(value(*high)? << 4 | value(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
