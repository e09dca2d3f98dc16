use super::dyld::{DyldLayout, lay_out};
use super::image::{segments, slice_for};
use super::map::{Map, SimRegion};
use super::task::{SimTask, State};
use super::{SimArch, SimError, SimThread, SyntheticImage, sysctls, thread};
use crate::{ProcessFacts, RegionTag, ThreadPort};
use minidump_snapshot::SharedCache;
use std::collections::BTreeMap;
use std::path::Path;

/// Where dyld lies unless it is placed.
const DYLD_BASE: u64 = 0x2_0000_0000;

/// Builds a [`SimTask`]. What goes wrong is told by [`build`](Self::build).
#[derive(Debug)]
pub struct SimBuilder {
    arch: SimArch,
    map: Map,
    layout: DyldLayout,
    threads: Vec<SimThread>,
    own_thread: Option<usize>,
    pid: i32,
    facts: Option<ProcessFacts>,
    sysctls: BTreeMap<String, Vec<u8>>,
    error: Option<SimError>,
}

impl SimBuilder {
    pub(super) fn new(arch: SimArch) -> Self {
        Self {
            arch,
            map: Map::default(),
            layout: DyldLayout::default(),
            threads: Vec::new(),
            own_thread: None,
            pid: 4242,
            facts: Some(ProcessFacts { start_us: 1_700_000_000_000_000, parent_pid: 1, uid: 501 }),
            sysctls: sysctls::typical(arch),
            error: None,
        }
    }

    /// Loads the Mach-O file at `file`, thin or universal, with its header at `load`. Its path in the task is `file`.
    #[must_use]
    pub fn module(self, file: impl AsRef<Path>, load: u64) -> Self {
        let path = file.as_ref().to_string_lossy().into_owned();
        self.module_installed_at(file, &path, load)
    }

    /// As [`module`](Self::module), with another path in the task.
    #[must_use]
    pub fn module_installed_at(self, file: impl AsRef<Path>, path: &str, load: u64) -> Self {
        match std::fs::read(file) {
            Ok(bytes) => self.module_bytes(&bytes, path, load),
            Err(error) => self.failed(error.into()),
        }
    }

    /// As [`module`](Self::module), from the bytes of a file.
    #[must_use]
    pub fn module_bytes(self, file: &[u8], path: &str, load: u64) -> Self {
        self.map_image(file, load).list(path, load)
    }

    /// Loads a synthetic image with its header at `load`.
    #[must_use]
    pub fn image(self, image: &SyntheticImage, load: u64) -> Self {
        let file = image.build(self.arch);
        self.module_bytes(&file, image.path(), load)
    }

    /// Loads dyld itself: at the place where dyld says it is, not in its list. Without it, `build` loads a synthetic one.
    #[must_use]
    pub fn dyld(mut self, file: &[u8], path: &str, load: u64) -> Self {
        self.layout.dyld = Some((load, path.as_bytes().to_vec()));
        self.map_image(file, load)
    }

    /// Maps the segments of a file, with its header at `load`, without telling dyld's list.
    #[must_use]
    pub fn map_image(mut self, file: &[u8], load: u64) -> Self {
        if let Err(error) = self.place(file, load) {
            return self.failed(error);
        }
        self
    }

    /// Appends an entry to dyld's list, whether there is such an image or not.
    #[must_use]
    pub fn list(mut self, path: impl AsRef<[u8]>, load: u64) -> Self {
        self.layout.images.push((load, path.as_ref().to_vec()));
        self
    }

    /// Spans the range of the shared cache with a submap. Images that are loaded into the range afterwards belong to it.
    #[must_use]
    pub fn shared_cache(mut self, cache: SharedCache, size: u64) -> Self {
        self.layout.cache = Some(cache);
        self.layout.cache_size = size;
        self.submap(cache.base, size)
    }

    /// What dyld says when it ends the process.
    #[must_use]
    pub fn dyld_error(mut self, message: &str) -> Self {
        self.layout.error = Some(message.into());
        self
    }

    /// Version and size of `dyld_all_image_infos`, which are 18 and 368 otherwise.
    #[must_use]
    pub fn dyld_version(mut self, version: u32, size: u64) -> Self {
        self.layout.version = version;
        self.layout.size = size;
        self
    }

    /// Maps `size` bytes of zeros at `start`.
    #[must_use]
    pub fn region(mut self, start: u64, size: u64, about: SimRegion) -> Self {
        if !self.map.add(start, size, about) {
            return self.failed(SimError::Occupied { start, size });
        }
        self
    }

    /// Spans a range with a submap, which regions are put into afterwards.
    #[must_use]
    pub fn submap(mut self, start: u64, size: u64) -> Self {
        if !self.map.add_submap(start, size) {
            return self.failed(SimError::Occupied { start, size });
        }
        self
    }

    /// A stack, and a guard page below it.
    #[must_use]
    pub fn stack(self, start: u64, size: u64) -> Self {
        let page = self.arch.page_size();
        let guard = SimRegion { tag: RegionTag::STACK.0, ..SimRegion::guard() };
        self.region(start.saturating_sub(page), page, guard).region(
            start,
            size,
            SimRegion::data(RegionTag::STACK.0),
        )
    }

    /// Writes a chain of frame records: the first at `fp`, each `frame_size` bytes above the one before. The record behind
    /// the last return address is zero.
    #[must_use]
    pub fn frames(self, fp: u64, frame_size: u64, return_addresses: &[u64]) -> Self {
        let mut builder = self;
        let mut at = fp;
        for (index, address) in return_addresses.iter().enumerate() {
            let last = index + 1 == return_addresses.len();
            let next = if last { 0 } else { at.saturating_add(frame_size) };
            builder = builder.word(at, next).word(at.saturating_add(8), *address);
            at = next;
        }
        builder
    }

    /// Writes a word of eight bytes.
    #[must_use]
    pub fn word(self, address: u64, value: u64) -> Self {
        self.bytes(address, &value.to_le_bytes())
    }

    /// Writes into memory that is mapped already.
    #[must_use]
    pub fn bytes(mut self, address: u64, bytes: &[u8]) -> Self {
        if self.map.write(address, bytes) != bytes.len() {
            return self.failed(SimError::Unmapped { address });
        }
        self
    }

    /// Adds a thread. [`SimTask::port`] tells its port by the order of adding.
    #[must_use]
    pub fn thread(mut self, thread: SimThread) -> Self {
        self.threads.push(thread);
        self
    }

    /// Makes the task the calling process, and the thread that is added as the `index`th the calling thread.
    #[must_use]
    pub fn called_by_thread(mut self, index: usize) -> Self {
        self.own_thread = Some(index);
        self
    }

    /// Sets the process id, which is 4242 otherwise.
    #[must_use]
    pub fn pid(mut self, pid: i32) -> Self {
        self.pid = pid;
        self
    }

    /// Sets what the BSD half of the kernel tells.
    #[must_use]
    pub fn process_facts(mut self, facts: Option<ProcessFacts>) -> Self {
        self.facts = facts;
        self
    }

    /// Sets a sysctl; an empty one does not exist.
    #[must_use]
    pub fn sysctl(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.sysctls.insert(name.to_owned(), bytes.as_ref().to_vec());
        self
    }

    /// The task.
    ///
    /// # Errors
    /// The first thing that went wrong.
    pub fn build(mut self) -> Result<SimTask, SimError> {
        if self.layout.dyld.is_none() {
            let dyld = SyntheticImage::dylinker("/usr/lib/dyld").uuid([0xd1; 16]);
            let file = dyld.build(self.arch);
            self = self.dyld(&file, "/usr/lib/dyld", DYLD_BASE);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let queues = self.threads.iter().map(|thread| thread.queue.clone()).collect();
        let (address, size, queues) = lay_out(&self.layout, queues, &mut self.map)?;
        for (thread, queue) in self.threads.iter_mut().zip(queues) {
            thread.queue_address = queue.unwrap_or(thread.queue_address);
        }
        let threads =
            self.threads.into_iter().enumerate().map(|(index, thread)| (thread::port(index), thread));
        let own_thread: Option<ThreadPort> = self.own_thread.map(thread::port);
        Ok(SimTask::new(State {
            map: self.map,
            threads: threads.collect(),
            sysctls: self.sysctls,
            facts: self.facts,
            pid: self.pid,
            own_thread,
            dyld_info: (address, size),
            ..State::default()
        }))
    }

    fn failed(mut self, error: SimError) -> Self {
        self.error.get_or_insert(error);
        self
    }

    fn place(&mut self, file: &[u8], load: u64) -> Result<(), SimError> {
        let image = slice_for(file, self.arch)?;
        let segments = segments(image)?;
        let text = segments.iter().find(|segment| segment.name == "__TEXT");
        let slide = load.wrapping_sub(text.map_or(0, |text| text.address));
        for segment in &segments {
            let start = segment.address.wrapping_add(slide);
            let size = segment.size.next_multiple_of(self.arch.page_size());
            let tag = self.tag_of(&segment.name, start);
            let about = SimRegion { offset: segment.offset, ..SimRegion::file(segment.protection, tag) };
            if !self.map.add(start, size, about) {
                return Err(SimError::Occupied { start, size });
            }
            self.map.write(start, segment.contents);
        }
        Ok(())
    }

    fn tag_of(&self, segment: &str, start: u64) -> u32 {
        let cache = self.layout.cache.as_ref();
        let in_cache = cache.and_then(|cache| start.checked_sub(cache.base));
        match in_cache {
            Some(offset) if offset < self.layout.cache_size => RegionTag::SHARED_PMAP.0,
            _ if segment.starts_with("__DATA") => RegionTag::DYLIB.0,
            _ => 0,
        }
    }
}
