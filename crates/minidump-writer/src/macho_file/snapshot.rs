//! Puts the snapshot of a core together.

use super::commands::{Commands, Segment};
use super::image_header::HeaderReader;
use super::registers::Processor;
use super::{crash, loaded, modules, notes};
use crate::convert::{FileMemory, InputFile};
use crate::snapshot::{
    AppleFacts, AppleThread, Cpu, OperatingSystem, Process, Protection, Region, RegionKind, Snapshot,
    SoftError, Stage, System, Thread,
};
use minidump_formats::apple_record::ListedImage;
use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// The snapshot of a core of our own, as foreign input all the same.
pub fn of_ours(mut snapshot: Snapshot) -> Snapshot {
    if let Some(exception) = &mut snapshot.exception {
        exception.parameters.truncate(15);
    }
    keep_promises(&mut snapshot);
    snapshot
}

/// The snapshot of a core of another maker.
pub fn of_others(
    commands: &Commands,
    mut listed: Vec<ListedImage>,
    file: &InputFile,
    memory: &FileMemory,
) -> Snapshot {
    let main = notes::main_binary(commands, file);
    let mut image_list = None;
    if listed.is_empty() {
        (listed, image_list) =
            loaded::find(&mut HeaderReader::new(memory), &commands.segments, commands.cpu_type);
    }
    let mut snapshot = Snapshot::new(Process::default(), system(commands.processor, main));
    let (found, images) = modules::modules(listed, main, &mut HeaderReader::new(memory));
    snapshot.modules = found;
    let path = snapshot.modules.iter().find(|module| module.is_main).map(|module| module.path.clone());
    snapshot.process.executable = path.filter(|path| !path.is_empty());
    snapshot.captured_at_us = file.modified.map_or(0, microseconds);
    snapshot.threads = threads(commands, notes::thread_ids(commands, file));
    snapshot.regions = regions(&commands.segments);
    snapshot.apple = Some(AppleFacts {
        cpu_type: commands.cpu_type,
        cpu_subtype: commands.cpu_subtype,
        address_bits: notes::address_bits(commands, file),
        dyld_all_image_infos: image_list,
        images,
        ..AppleFacts::default()
    });
    snapshot.exception = crash::exception(&snapshot.threads);
    if let Some(exception) = &snapshot.exception {
        let message = "the core does not tell why it was made; that this thread crashed is concluded from its \
                       exception registers";
        snapshot.soft_errors.push(SoftError::new(Stage::Target, message).thread(exception.thread));
    }
    keep_promises(&mut snapshot);
    snapshot
}

/// Since 1970. A core does not tell when it was made; it is written at once.
fn microseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// What a core tells of the machine. The rest is not known: it need not have been this one.
fn system(processor: Processor, main: Option<notes::MainBinary>) -> System {
    let (cpu, usual) = match processor {
        Processor::Arm64 => (Cpu::Arm64, 0x4000),
        Processor::Amd64 => {
            let unknown = Cpu::Amd64 {
                vendor: [0; 12],
                version_information: 0,
                feature_information: 0,
                extended_features: 0,
                xsave: Vec::new(),
            };
            (unknown, 0x1000)
        }
    };
    // 0 is unknown, 1 macOS, 6 macOS under Catalyst; the others are iOS and its kin.
    let os = match main.map_or(0, |main| main.platform) {
        0 | 1 | 6 => OperatingSystem::MacOs,
        _ => OperatingSystem::Ios,
    };
    System {
        os,
        version: (0, 0, 0),
        description: String::new(),
        cpu,
        cpu_count: 0,
        cpu_max_mhz: None,
        page_size: main.and_then(|main| main.page_size).unwrap_or(usual),
        build: concat!("minidump-writer ", env!("CARGO_PKG_VERSION")).into(),
    }
}

/// The threads that have registers. The lower half of an id counts; one that is unknown, or there already, is replaced by
/// the first free number.
fn threads(commands: &Commands, ids: Option<Vec<u64>>) -> Vec<Thread> {
    let ids = ids.unwrap_or_default();
    let mut taken = HashSet::new();
    let mut free = 0_u32;
    let mut threads = Vec::new();
    for (index, raw) in commands.threads.iter().enumerate().filter(|(_, raw)| raw.cpu.is_some()) {
        let long = ids.get(index).copied().unwrap_or(0);
        let [b0, b1, b2, b3, ..] = long.to_le_bytes();
        let mut id = u32::from_le_bytes([b0, b1, b2, b3]);
        while id == 0 || !taken.insert(id) {
            free = free.wrapping_add(1);
            id = free;
        }
        let mut thread = Thread::new(id);
        thread.cpu.clone_from(&raw.cpu);
        thread.apple = Some(Box::new(AppleThread { id: long, fault: raw.fault, ..AppleThread::default() }));
        threads.push(thread);
    }
    threads
}

fn regions(segments: &[Segment]) -> Vec<Region> {
    let region = |segment: &Segment| Region {
        start: segment.address,
        end: segment.address.saturating_add(segment.memory_size),
        protection: Protection::from_bits_truncate(u8::try_from(segment.protection & 7).unwrap_or(0)),
        shared: false,
        kind: RegionKind::Anonymous,
        dont_dump: false,
        offset: 0,
        name: Vec::new(),
    };
    segments.iter().map(region).collect()
}

/// Sorts and cuts what a snapshot promises to be sorted and not to overlap, and makes ids unique.
fn keep_promises(snapshot: &mut Snapshot) {
    snapshot.regions.sort_by_key(|region| region.start);
    let mut floor = 0;
    snapshot.regions.retain_mut(|region| {
        region.start = region.start.max(floor);
        floor = floor.max(region.end);
        region.start < region.end
    });
    snapshot.modules.sort_by_key(|module| module.base);
    let mut floor = 0;
    snapshot.modules.retain(|module| {
        let is_free = module.base >= floor && module.size > 0;
        floor = if is_free { module.base.saturating_add(module.size) } else { floor };
        is_free
    });
    if let Some(facts) = &mut snapshot.apple {
        facts.images.sort_by_key(|image| image.base);
        facts.images.dedup_by_key(|image| image.base);
    }
    let mut ids = HashSet::new();
    snapshot.threads.retain(|thread| ids.insert(thread.id));
}

/// Chooses the blamed thread and puts it first: the crashed one, or the one asked for, or the one that was blamed when
/// the core was made, or the first one.
pub fn blame(snapshot: &mut Snapshot, asked: Option<u32>) {
    let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
    let position = |id: Option<u32>| snapshot.threads.iter().position(|thread| Some(thread.id) == id);
    let found = [crashed, asked, snapshot.blamed_thread].into_iter().find_map(position);
    if crashed.is_some() && position(crashed).is_none() {
        let message = "the core tells of a crash in a thread that is not in it";
        snapshot.soft_errors.push(SoftError::new(Stage::Target, message));
    }
    if let Some(front) = snapshot.threads.get_mut(..=found.unwrap_or(0)) {
        front.rotate_right(1);
    }
    snapshot.blamed_thread = snapshot.threads.first().map(|thread| thread.id);
}
