//! What the note of our own tells: a JSON object with the facts that no other part of the core has.

mod apple;
mod modules;
mod process;
mod threads;

use super::exception_names::{exception_code_name, exception_name};
use super::json::Text;
use super::own_note::OWN_NOTE_VERSION;
use minidump_snapshot::{
    Exception, Handle, MemoryPlan, Purpose, Region, RegionKind, Snapshot, SoftError, System,
};
use serde::Serialize;
use std::collections::HashMap;

/// The object. What is not known is not there.
#[derive(Serialize)]
pub(super) struct Facts<'a> {
    version: u32,
    captured_at_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    blamed_thread: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception: Option<ExceptionFacts<'a>>,
    process: process::ProcessFacts<'a>,
    system: &'a System,
    threads: Vec<threads::ThreadFacts<'a>>,
    modules: Vec<modules::ModuleFacts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    apple: Option<apple::AppleFactsOut<'a>>,
    annotations: &'a [(String, String)],
    handles: Vec<HandleFacts<'a>>,
    regions: Vec<RegionFacts<'a>>,
    /// First address, size in bytes, and why, in the order of the file.
    memory: Vec<(u64, u64, Purpose)>,
    /// Thread, first address, size in bytes.
    stacks: Vec<(u32, u64, u64)>,
    full_memory: bool,
    soft_errors: Vec<&'a SoftError>,
}

impl<'a> Facts<'a> {
    /// `places` tells which `LC_THREAD` is which thread's, `encoded` what this encoder left out.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        plan: &MemoryPlan,
        places: &[Option<usize>],
        is_arm64: bool,
        encoded: &'a [SoftError],
    ) -> Self {
        let threads = snapshot.threads.iter().zip(places);
        Self {
            version: OWN_NOTE_VERSION,
            captured_at_us: snapshot.captured_at_us,
            blamed_thread: snapshot.blamed_thread,
            exception: snapshot.exception.as_ref().map(|found| ExceptionFacts::new(found, is_arm64)),
            process: process::ProcessFacts::new(&snapshot.process),
            system: &snapshot.system,
            threads: threads.map(|(thread, place)| threads::ThreadFacts::new(thread, *place)).collect(),
            modules: snapshot.modules.iter().map(modules::ModuleFacts::new).collect(),
            apple: snapshot.apple.as_ref().map(apple::AppleFactsOut::new),
            annotations: &snapshot.annotations,
            handles: snapshot.handles.iter().map(HandleFacts::new).collect(),
            regions: regions(snapshot),
            memory: plan.ranges().iter().map(|range| (range.start, range.size, range.purpose)).collect(),
            stacks: plan.stacks().iter().map(|stack| (stack.thread, stack.start, stack.size)).collect(),
            full_memory: plan.ranges().iter().any(|range| range.purpose == Purpose::Full),
            soft_errors: snapshot.soft_errors.iter().chain(encoded).collect(),
        }
    }
}

/// The exception, with what Apple's headers call it.
#[derive(Serialize)]
struct ExceptionFacts<'a> {
    #[serde(flatten)]
    exception: &'a Exception,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_name: Option<&'static str>,
}

impl<'a> ExceptionFacts<'a> {
    fn new(exception: &'a Exception, is_arm64: bool) -> Self {
        let (kind, code) = (exception.code, exception.flags);
        let code_name = exception_code_name(kind, code, is_arm64);
        Self { exception, name: exception_name(kind), code_name }
    }
}

/// First address, size in bytes, rights (1 read, 2 write, 4 execute), kind, flags (1 shared, 2 not for dumps), offset in
/// the file, name. An array, because there are thousands of them.
type RegionFacts<'a> = (u64, u64, u8, RegionKind, u8, u64, Name<'a>);

/// The name of a region. Most are paths of modules, which are told once.
#[derive(Serialize)]
#[serde(untagged)]
enum Name<'a> {
    /// That of the module with this index.
    Module(usize),
    Own(Text<'a>),
}

fn regions(snapshot: &Snapshot) -> Vec<RegionFacts<'_>> {
    let mut paths: HashMap<&[u8], usize> = HashMap::new();
    for (index, module) in snapshot.modules.iter().enumerate().filter(|(_, module)| !module.path.is_empty()) {
        paths.entry(&module.path).or_insert(index);
    }
    let name = |name: &'_ [u8]| paths.get(name).copied().map(Name::Module);
    let region = |region| region_facts(region, name(&region.name));
    snapshot.regions.iter().map(region).collect()
}

fn region_facts<'a>(region: &'a Region, name: Option<Name<'a>>) -> RegionFacts<'a> {
    let flags = u8::from(region.shared) | u8::from(region.dont_dump) << 1;
    let Region { start, kind, offset, .. } = *region;
    let name = name.unwrap_or(Name::Own(Text(&region.name)));
    (start, region.size(), region.protection.bits(), kind, flags, offset, name)
}

#[derive(Serialize)]
struct HandleFacts<'a> {
    value: u64,
    kind: minidump_snapshot::HandleKind,
    target: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_flags: Option<u32>,
}

impl<'a> HandleFacts<'a> {
    fn new(handle: &'a Handle) -> Self {
        let Handle { value, kind, mode, open_flags, .. } = *handle;
        Self { value, kind, target: Text(&handle.target), mode, open_flags }
    }
}
