//! The JSON of [`APPLE_FACTS_STREAM`](super::APPLE_FACTS_STREAM): what would be lost if a snapshot of a Mach task were told
//! by the streams alone that others know.

mod crash_infos;
mod images;
mod modules;
mod regions;
mod text;
mod threads;

use super::streams::is_exact;
use crash_infos::CrashInfoRecord;
use images::ImageRecord;
use minidump_snapshot::{AppleFacts, MachImage, SharedCache, Snapshot};
use modules::ModuleRecord;
use regions::RegionTable;
use serde::{Deserialize, Serialize};
use text::Text;
use threads::ThreadRecord;

/// What the streams that others know do not tell of a snapshot of a Mach task. `docs/minidump-format.md` has the JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppleRecord {
    version: u32,
    captured_at_us: u64,
    process: ProcessRecord,
    system: SystemRecord,
    facts: Option<FactsRecord>,
    threads: Vec<ThreadRecord>,
    main: Option<u64>,
    modules: Vec<ModuleRecord>,
    images: Vec<ImageRecord>,
    crash_info: Option<Vec<CrashInfoRecord>>,
    regions: RegionTable,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct ProcessRecord {
    parent_pid: Option<u32>,
    uid: Option<u32>,
    executable: Option<Text>,
    start_us: Option<u64>,
    user_us: Option<u64>,
    kernel_us: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct SystemRecord {
    description: String,
    page_size: u32,
    cpu_count: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct FactsRecord {
    cpu_type: u32,
    cpu_subtype: u32,
    os_build: String,
    address_bits: Option<u8>,
    dyld_all_image_infos: Option<u64>,
    dyld_version: Option<u32>,
    dyld_error: Option<Text>,
    shared_cache: Option<SharedCache>,
    bundle_version: Option<String>,
}

/// Version of the JSON. Fields that are added do not raise it.
const VERSION: u32 = 1;

impl AppleRecord {
    /// The record of a snapshot; `None` when it has nothing that only Apple's systems tell.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Option<Self> {
        let of_apple = |thread: &minidump_snapshot::Thread| thread.apple.is_some();
        if snapshot.apple.is_none() && !snapshot.threads.iter().any(of_apple) {
            return None;
        }
        let nothing = AppleFacts::default();
        let facts = snapshot.apple.as_ref().unwrap_or(&nothing);
        let inexact = !is_exact(&facts.crash_info);
        Some(Self {
            version: VERSION,
            captured_at_us: snapshot.captured_at_us,
            process: ProcessRecord::new(snapshot),
            system: SystemRecord {
                description: snapshot.system.description.clone(),
                page_size: snapshot.system.page_size,
                cpu_count: snapshot.system.cpu_count,
            },
            facts: snapshot.apple.as_ref().map(FactsRecord::new),
            threads: snapshot.threads.iter().filter_map(ThreadRecord::new).collect(),
            main: snapshot.modules.iter().find(|module| module.is_main).map(|module| module.base),
            modules: snapshot.modules.iter().filter_map(|module| ModuleRecord::new(facts, module)).collect(),
            images: facts.images.iter().map(ImageRecord::new).collect(),
            crash_info: inexact.then(|| facts.crash_info.iter().map(CrashInfoRecord::new).collect()),
            regions: RegionTable::new(&snapshot.regions),
        })
    }

    /// Completes a snapshot that was read from the other streams of the same file. What the record tells of threads,
    /// modules and regions that the snapshot has not is dropped; what it cannot tell stays as it is.
    pub fn restore(self, snapshot: &mut Snapshot) {
        let Self { process, system, facts, threads, main, modules, images, crash_info, regions, .. } = self;
        if self.captured_at_us != 0 {
            snapshot.captured_at_us = self.captured_at_us;
        }
        process.restore(snapshot);
        snapshot.system.description = system.description;
        snapshot.system.cpu_count = system.cpu_count;
        if system.page_size.is_power_of_two() {
            snapshot.system.page_size = system.page_size;
        }
        if let Some(facts) = facts {
            facts.restore(snapshot.apple.get_or_insert_default());
        }
        if let Some(facts) = &mut snapshot.apple {
            facts.images = sorted(images);
            if let Some(infos) = crash_info {
                facts.crash_info = infos.into_iter().map(CrashInfoRecord::into_info).collect();
            }
        }
        ThreadRecord::restore(threads, snapshot);
        let facts = snapshot.apple.take();
        ModuleRecord::restore(modules, facts.as_ref().unwrap_or(&AppleFacts::default()), snapshot);
        snapshot.apple = facts;
        for module in &mut snapshot.modules {
            module.is_main = main == Some(module.base);
        }
        regions.restore(snapshot);
    }

    /// About how many bytes the JSON has.
    pub(crate) fn size_hint(&self) -> usize {
        let images = self.images.iter().map(ImageRecord::size_hint).fold(0_usize, usize::saturating_add);
        let lists = self.threads.len().saturating_mul(240).saturating_add(self.modules.len() * 160);
        images.saturating_add(lists).saturating_add(self.regions.size_hint()).saturating_add(1024)
    }
}

/// Images in the order that [`AppleFacts::image_at`] relies on, each once.
fn sorted(images: Vec<ImageRecord>) -> Vec<MachImage> {
    let mut images: Vec<MachImage> = images.into_iter().map(ImageRecord::into_image).collect();
    images.sort_by_key(|image| image.base);
    images.dedup_by_key(|image| image.base);
    images
}

impl ProcessRecord {
    fn new(snapshot: &Snapshot) -> Self {
        let process = &snapshot.process;
        Self {
            parent_pid: process.parent_pid,
            uid: process.uid,
            executable: process.executable.as_deref().map(Text::new),
            start_us: process.start_time_us,
            user_us: process.user_time_us,
            kernel_us: process.kernel_time_us,
        }
    }

    fn restore(self, snapshot: &mut Snapshot) {
        let process = &mut snapshot.process;
        process.parent_pid = self.parent_pid;
        process.uid = self.uid;
        process.executable = self.executable.map(Text::into_bytes);
        process.start_time_us = self.start_us;
        process.user_time_us = self.user_us;
        process.kernel_time_us = self.kernel_us;
    }
}

impl FactsRecord {
    fn new(facts: &AppleFacts) -> Self {
        Self {
            cpu_type: facts.cpu_type,
            cpu_subtype: facts.cpu_subtype,
            os_build: facts.os_build.clone(),
            address_bits: facts.address_bits,
            dyld_all_image_infos: facts.dyld_all_image_infos,
            dyld_version: facts.dyld_version,
            dyld_error: facts.dyld_error.as_deref().map(Text::new),
            shared_cache: facts.shared_cache,
            bundle_version: facts.bundle_version.clone(),
        }
    }

    fn restore(self, facts: &mut AppleFacts) {
        facts.cpu_type = self.cpu_type;
        facts.cpu_subtype = self.cpu_subtype;
        facts.os_build = self.os_build;
        facts.address_bits = self.address_bits;
        facts.dyld_all_image_infos = self.dyld_all_image_infos;
        facts.dyld_version = self.dyld_version;
        facts.dyld_error = self.dyld_error.map(Text::into_bytes);
        facts.shared_cache = self.shared_cache;
        facts.bundle_version = self.bundle_version;
    }
}

#[cfg(test)]
mod tests;
