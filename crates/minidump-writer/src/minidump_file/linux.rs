//! What is in minidumps of Linux alone.

use super::streams::Streams;
use crate::convert::FileMemory;
use crate::linux_process::offline;
use crate::snapshot::{LinuxFacts, Snapshot};
use minidump_common::format::MINIDUMP_STREAM_TYPE;

/// The texts of /proc.
pub fn facts(streams: &Streams<'_>) -> LinuxFacts {
    let text = |kind: MINIDUMP_STREAM_TYPE| streams.get(kind.into());
    LinuxFacts {
        cpu_info: text(MINIDUMP_STREAM_TYPE::LinuxCpuInfo),
        status: text(MINIDUMP_STREAM_TYPE::LinuxProcStatus),
        lsb_release: text(MINIDUMP_STREAM_TYPE::LinuxLsbRelease),
        cmdline: text(MINIDUMP_STREAM_TYPE::LinuxCmdLine),
        environ: text(MINIDUMP_STREAM_TYPE::LinuxEnviron),
        auxv: text(MINIDUMP_STREAM_TYPE::LinuxAuxv),
        maps: text(MINIDUMP_STREAM_TYPE::LinuxMaps),
        limits: text(MINIDUMP_STREAM_TYPE::MozLinuxLimits),
        ..LinuxFacts::default()
    }
}

/// What the texts of /proc tell, together with memory.
pub fn complete(snapshot: &mut Snapshot, memory: &FileMemory) {
    let (maps, auxv) = match &snapshot.linux {
        Some(facts) => (facts.maps.clone().unwrap_or_default(), facts.auxv.clone().unwrap_or_default()),
        None => Default::default(),
    };
    // Memory is sparse here; what it does not tell of modules and loader is in the dump's own lists.
    let found = offline::read(&maps, &auxv, memory, &mut Vec::new());
    if !found.regions.is_empty() {
        snapshot.regions = found.regions;
    }
    if let Some(facts) = &mut snapshot.linux {
        facts.dso_debug = found.dso_debug;
    }
}
