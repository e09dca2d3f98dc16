//! From a record and the rest of the file back to the snapshot.

use super::{AppleRecord, CommandThread, ListedImage, modules, regions, threads};
use minidump_snapshot::{AppleFacts, MachImage, Snapshot};
use std::collections::HashMap;

impl AppleRecord {
    /// The snapshot of a core. `commands` are its `LC_THREAD`s, `listed` the images of its note; of those at the same address the
    /// first counts. `None` when the record does not tell the system. What a snapshot promises to be sorted, or to be there
    /// once, is as the record has it.
    #[must_use]
    pub fn into_snapshot(self, commands: &[CommandThread], listed: Vec<ListedImage>) -> Option<Snapshot> {
        let mut snapshot = Snapshot::new(self.process, self.system?);
        snapshot.captured_at_us = self.captured_at_us;
        snapshot.blamed_thread = self.blamed_thread;
        snapshot.exception = self.exception;
        snapshot.threads = self.threads.into_iter().map(|record| record.thread(commands)).collect();
        let mut by_base: HashMap<u64, ListedImage> = HashMap::new();
        for image in listed {
            by_base.entry(image.base).or_insert(image);
        }
        let modules = self.modules.into_iter().map(|record| {
            let listed = by_base.get(&record.base());
            record.module(listed)
        });
        snapshot.modules = modules.collect();
        snapshot.apple = self.facts.map(|facts| {
            let image = |record: super::ImageRecord| record.image(|base| by_base.remove(&base), &self.names);
            let images = self.images.into_iter().map(image).collect();
            AppleFacts { images, crash_info: self.crash_info.unwrap_or_default(), ..facts }
        });
        snapshot.regions = regions::named(self.regions, &snapshot.modules, &self.names);
        snapshot.annotations = self.annotations;
        snapshot.handles = self.handles;
        snapshot.soft_errors = self.soft_errors;
        Some(snapshot)
    }

    /// Completes a snapshot that was read from the other streams of a minidump. What the record tells of threads, modules and
    /// regions that the snapshot has not is dropped; what it cannot tell stays as it is.
    pub fn restore(self, snapshot: &mut Snapshot) {
        if self.captured_at_us != 0 {
            snapshot.captured_at_us = self.captured_at_us;
        }
        snapshot.process = minidump_snapshot::Process { pid: snapshot.process.pid, ..self.process };
        if let Some(system) = self.system {
            snapshot.system.description = system.description;
            snapshot.system.cpu_count = system.cpu_count;
            if system.page_size.is_power_of_two() {
                snapshot.system.page_size = system.page_size;
            }
        }
        if let Some(facts) = self.facts {
            let told = snapshot.apple.take().unwrap_or_default();
            let (boot_args, crash_info) = (told.boot_args, self.crash_info.unwrap_or(told.crash_info));
            let images = self.images.into_iter().map(|record| record.image(|_| None, &self.names));
            snapshot.apple = Some(AppleFacts { images: sorted(images), crash_info, boot_args, ..facts });
        }
        threads::restore(self.threads, snapshot);
        modules::restore(self.modules, snapshot);
        regions::restore(self.regions, &self.names, snapshot);
    }
}

/// Images in the order that [`AppleFacts::image_at`] relies on, each once.
fn sorted(images: impl Iterator<Item = MachImage>) -> Vec<MachImage> {
    let mut images: Vec<MachImage> = images.collect();
    images.sort_by_key(|image| image.base);
    images.dedup_by_key(|image| image.base);
    images
}
