//! Puts the snapshot of a core together.

use super::beside::ProcessBeside;
use super::elf::Segment;
use super::facts::Facts;
use super::gathered::{Gathered, GatheredThread};
use super::map_text::{Evidence, map_text};
use super::{mapped_files, on_disk, siginfo};
use crate::DumpOptions;
use crate::convert::words::{u32_at, u64_at, until_nul};
use crate::convert::{FileMemory, Held};
use crate::linux_process::offline;
use crate::snapshot::{
    Cpu, LinuxFacts, OperatingSystem, Process, Snapshot, SoftError, Stage, System, Thread, XsaveComponent,
};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers of the auxiliary vector (<linux/auxvec.h>).
const AT_PHDR: u64 = 3;
const AT_PAGESZ: u64 = 6;
const AT_ENTRY: u64 = 9;
const AT_UID: u64 = 11;
const AT_HWCAP: u64 = 16;
const AT_RANDOM: u64 = 25;
const AT_SYSINFO_EHDR: u64 = 33;
/// Most entries looked at.
const MAX_AUXV: usize = 256;

/// Offsets in `struct elf_prpsinfo` (<linux/elfcore.h>).
const PRPSINFO_UID: usize = 16;
const PRPSINFO_PID: usize = 24;
const PRPSINFO_NAME: usize = 40;
const PRPSINFO_ARGUMENTS: usize = 56;

/// A core's snapshot.
pub struct Built {
    pub snapshot: Snapshot,
    /// Which memory the core's maker had chosen, if it was our own encoder and did not take all there was.
    pub chosen: Option<Held>,
}

/// Makes the snapshot, and adds to `memory` what is in files on disk.
pub fn build(
    mut gathered: Gathered,
    segments: &[Segment],
    memory: &mut FileMemory,
    process_beside: Option<Box<dyn ProcessBeside>>,
    options: &DumpOptions,
) -> Built {
    let facts = gathered.facts().and_then(Facts::parse);
    let auxv = gathered.auxv.take().unwrap_or_default();
    let system = facts.as_ref().and_then(|facts| facts.system.clone());
    let system = system.unwrap_or_else(|| system_of(&auxv, &gathered.components));
    let mut snapshot = Snapshot::new(process(&gathered), system);
    let mut errors = soft_errors(&mut gathered);
    snapshot.exception = gathered.threads.iter().find_map(crash_of);
    let maps = process_beside.as_ref().map(|process| process.maps().to_vec());
    let maps = maps
        .or_else(|| text(&gathered, MINIDUMP_STREAM_TYPE::LinuxMaps))
        .unwrap_or_else(|| guessed_maps(&gathered, &auxv, segments, memory));
    let listed = process_beside.as_ref().map(|process| process.modules().to_vec());
    let listed = listed.or_else(|| Some(facts.as_ref()?.modules())).unwrap_or_default();
    // What memory alone does not tell of modules is no news when they are listed.
    let mut of_memory = Vec::new();
    let found = offline::read(&maps, &auxv, memory, &mut of_memory);
    snapshot.regions = found.regions;
    if listed.is_empty() {
        snapshot.modules = found.modules;
        errors.append(&mut of_memory);
    } else {
        snapshot.modules = listed;
    }
    snapshot.process.executable = executable(&snapshot, &auxv);
    snapshot.linux = Some(LinuxFacts {
        cmdline: text(&gathered, MINIDUMP_STREAM_TYPE::LinuxCmdLine).or_else(|| arguments(&gathered)),
        status: text(&gathered, MINIDUMP_STREAM_TYPE::LinuxProcStatus),
        lsb_release: text(&gathered, MINIDUMP_STREAM_TYPE::LinuxLsbRelease),
        limits: text(&gathered, MINIDUMP_STREAM_TYPE::MozLinuxLimits),
        cpu_info: text(&gathered, MINIDUMP_STREAM_TYPE::LinuxCpuInfo),
        auxv: Some(auxv).filter(|auxv| !auxv.is_empty()),
        maps: Some(maps),
        dso_debug: found.dso_debug,
        ..LinuxFacts::default()
    });
    snapshot.threads = threads(gathered, snapshot.process.pid);
    snapshot.captured_at_us = memory.dump().and_then(|file| file.modified).map_or(0, microseconds);
    let mut chosen = None;
    if let Some(facts) = facts {
        chosen = Some(memory.held()).filter(|_| !facts.full_memory);
        facts.fill(&mut snapshot);
    }
    snapshot.soft_errors = errors;
    match process_beside {
        Some(process) => process.fill(&mut snapshot),
        None => on_disk::add(&snapshot.modules, &snapshot.regions, memory, &mut snapshot.soft_errors),
    }
    blame(&mut snapshot, options.blamed_thread);
    Built { snapshot, chosen }
}

/// Since 1970. A core does not tell when it was made; Linux writes it at once.
fn microseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A text that our own encoder kept.
fn text(gathered: &Gathered, kind: MINIDUMP_STREAM_TYPE) -> Option<Vec<u8>> {
    gathered.own.get(&u32::from(kind)).cloned()
}

/// What was missing when the core was made, and now.
fn soft_errors(gathered: &mut Gathered) -> Vec<SoftError> {
    let json = gathered.own_soft_errors().unwrap_or(b"[]");
    let mut errors: Vec<SoftError> = serde_json::from_slice(json).unwrap_or_default();
    errors.append(&mut gathered.soft_errors);
    errors
}

/// A value of the auxiliary vector.
fn auxv_value(auxv: &[u8], kind: u64) -> Option<u64> {
    let mut entries = auxv.chunks_exact(16).take(MAX_AUXV);
    entries.find(|entry| u64_at(entry, 0) == Some(kind)).and_then(|entry| u64_at(entry, 8))
}

fn guessed_maps(gathered: &Gathered, auxv: &[u8], segments: &[Segment], memory: &FileMemory) -> Vec<u8> {
    let files = gathered.files.as_deref().map(mapped_files::parse).unwrap_or_default();
    map_text(&Evidence {
        segments,
        files: &files,
        memory,
        vdso: auxv_value(auxv, AT_SYSINFO_EHDR),
        on_stack: auxv_value(auxv, AT_RANDOM),
        join: !gathered.own.is_empty(),
    })
}

/// What the auxiliary vector tells of the machine. The rest is not known: it need not have been this one.
fn system_of(auxv: &[u8], components: &[XsaveComponent]) -> System {
    let number = |kind| auxv_value(auxv, kind).and_then(|value| u32::try_from(value).ok());
    let page_size = number(AT_PAGESZ).filter(|size| size.is_power_of_two()).unwrap_or(4096);
    let cpu = Cpu::Amd64 {
        vendor: [0; 12],
        version_information: 0,
        // On x86, AT_HWCAP is CPUID leaf 1, EDX.
        feature_information: number(AT_HWCAP).unwrap_or(0),
        extended_features: 0,
        xsave: components.to_vec(),
    };
    System {
        os: OperatingSystem::Linux,
        version: (0, 0, 0),
        description: String::new(),
        cpu,
        cpu_count: 0,
        cpu_max_mhz: None,
        page_size,
        build: concat!("minidump-writer ", env!("CARGO_PKG_VERSION")).into(),
    }
}

fn process(gathered: &Gathered) -> Process {
    let first = gathered.threads.first().map(|thread| &thread.status);
    let number = |at| gathered.prpsinfo.as_deref().and_then(|bytes| u32_at(bytes, at));
    let uid = gathered.auxv.as_deref().and_then(|auxv| auxv_value(auxv, AT_UID));
    let pid = number(PRPSINFO_PID).filter(|pid| *pid != 0);
    Process {
        pid: pid.or(first.map(|status| status.thread.id)).unwrap_or(0),
        parent_pid: number(PRPSINFO_PID + 4).or(first.map(|status| status.parent)),
        uid: number(PRPSINFO_UID).or(uid.and_then(|uid| u32::try_from(uid).ok())),
        ..Process::default()
    }
}

/// The arguments as far as the kernel keeps them: at most 79 bytes, spaces between them.
fn arguments(gathered: &Gathered) -> Option<Vec<u8>> {
    let line = until_nul(gathered.prpsinfo.as_deref()?.get(PRPSINFO_ARGUMENTS..)?);
    let words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let arguments: Vec<u8> = words.flat_map(|word| word.iter().chain(b"\0")).copied().collect();
    Some(arguments).filter(|arguments| !arguments.is_empty())
}

/// The file that the auxiliary vector points into.
fn executable(snapshot: &Snapshot, auxv: &[u8]) -> Option<Vec<u8>> {
    let address = auxv_value(auxv, AT_PHDR).or_else(|| auxv_value(auxv, AT_ENTRY))?;
    let region = snapshot.region_at(address)?;
    Some(region.name.clone()).filter(|name| name.starts_with(b"/"))
}

fn crash_of(gathered: &GatheredThread) -> Option<crate::snapshot::Exception> {
    let GatheredThread { status, siginfo } = gathered;
    siginfo::exception(status.signal, siginfo.as_deref(), &status.thread)
}

/// The threads by id. The kernel's name for the process is that of its main thread.
fn threads(gathered: Gathered, pid: u32) -> Vec<Thread> {
    let name = gathered.prpsinfo.as_deref().and_then(|bytes| bytes.get(PRPSINFO_NAME..PRPSINFO_ARGUMENTS));
    let name = name.map(until_nul).filter(|name| !name.is_empty()).map(<[u8]>::to_vec);
    let mut threads: Vec<Thread> =
        gathered.threads.into_iter().map(|gathered| gathered.status.thread).collect();
    threads.sort_by_key(|thread| thread.id);
    threads.dedup_by_key(|thread| thread.id);
    if let Some(main) = threads.iter_mut().find(|thread| thread.id == pid) {
        main.name = name;
    }
    threads
}

/// Chooses the blamed thread and puts it first: the crashed one, or the one asked for, or the one that was blamed when
/// the core was made, or the main one.
fn blame(snapshot: &mut Snapshot, asked: Option<u32>) {
    let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
    let position = |id: Option<u32>| snapshot.threads.iter().position(|thread| Some(thread.id) == id);
    let main = Some(snapshot.process.pid);
    let found = [crashed, asked, snapshot.blamed_thread, main].into_iter().find_map(position);
    let index = found.unwrap_or(0);
    if crashed.is_some() && position(crashed).is_none() {
        let message = "the core tells of a crash in a thread that is not in it";
        snapshot.soft_errors.push(SoftError::new(Stage::Target, message));
    }
    if let Some(front) = snapshot.threads.get_mut(..=index) {
        front.rotate_right(1);
    }
    snapshot.blamed_thread = snapshot.threads.first().map(|thread| thread.id);
}
