use crate::{
    AppleFacts, Exception, Handle, LinuxFacts, Module, Process, Region, SoftError, System, Thread,
    WindowsFacts,
};
use serde::{Deserialize, Serialize};

/// Version of the serialised form of [`Snapshot`]. Raised whenever a field changes its meaning or is removed; added
/// optional fields do not raise it.
pub const SNAPSHOT_VERSION: u32 = 1;

/// Everything known about a process at one instant, except its memory contents.
///
/// Lists are in the order the capture found them, with two exceptions that encoders and readers rely on:
/// `threads` starts with the blamed thread when there is one, and `regions` and `modules` are sorted by address and
/// do not overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`] of the writer.
    pub version: u32,
    /// When the target was captured, in microseconds since 1970-01-01 00:00 UTC.
    pub captured_at_us: u64,
    /// The process itself.
    pub process: Process,
    /// The machine and the operating system it ran on.
    pub system: System,
    /// Threads, the blamed one first.
    pub threads: Vec<Thread>,
    /// Loaded images, by ascending base address, not overlapping.
    pub modules: Vec<Module>,
    /// The memory map, by ascending address, not overlapping.
    pub regions: Vec<Region>,
    /// Why the dump was taken, if the target crashed. `None` means that somebody asked for it.
    pub exception: Option<Exception>,
    /// The thread that crashed, or that the caller points at. Always in `threads` when set.
    pub blamed_thread: Option<u32>,
    /// What the application says about itself, for readers to show, in this order.
    pub annotations: Vec<(String, String)>,
    /// Open files, sockets and the like.
    pub handles: Vec<Handle>,
    /// What only Linux and Android tell.
    pub linux: Option<LinuxFacts>,
    /// What only Apple's systems tell.
    pub apple: Option<AppleFacts>,
    /// What only Windows tells.
    #[serde(default)]
    pub windows: Option<WindowsFacts>,
    /// What could not be captured, and why.
    pub soft_errors: Vec<SoftError>,
}

impl Snapshot {
    /// An empty snapshot of `process` on `system`.
    #[must_use]
    pub fn new(process: Process, system: System) -> Self {
        Self {
            version: SNAPSHOT_VERSION,
            captured_at_us: 0,
            process,
            system,
            threads: Vec::new(),
            modules: Vec::new(),
            regions: Vec::new(),
            exception: None,
            blamed_thread: None,
            annotations: Vec::new(),
            handles: Vec::new(),
            linux: None,
            apple: None,
            windows: None,
            soft_errors: Vec::new(),
        }
    }

    /// The region that contains `address`. `regions` must be sorted, as the type promises.
    #[must_use]
    pub fn region_at(&self, address: u64) -> Option<&Region> {
        crate::region::find(&self.regions, address)
    }

    /// The module that contains `address`. `modules` must be sorted, as the type promises.
    #[must_use]
    pub fn module_at(&self, address: u64) -> Option<&Module> {
        let next = self.modules.partition_point(|module| module.base <= address);
        self.modules.get(next.checked_sub(1)?).filter(|module| address - module.base < module.size)
    }
}
