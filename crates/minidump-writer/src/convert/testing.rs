//! What the tests of the readers have in common.

use crate::snapshot::{Cpu, OperatingSystem, Process, Snapshot, System};

/// A snapshot in which nothing is known.
pub(crate) fn empty_snapshot() -> Snapshot {
    let cpu = Cpu::Amd64 {
        vendor: *b"GenuineIntel",
        version_information: 0x0005_06e3,
        feature_information: 0xbfeb_fbff,
        extended_features: 0,
        xsave: vec![crate::snapshot::XsaveComponent { index: 2, offset: 576, size: 256 }],
    };
    let system = System {
        os: OperatingSystem::Linux,
        version: (6, 1, 0),
        description: "Linux 6.1.0".into(),
        cpu,
        cpu_count: 4,
        cpu_max_mhz: None,
        page_size: 4096,
        build: "test".into(),
    };
    Snapshot::new(Process { pid: 100, ..Process::default() }, system)
}
