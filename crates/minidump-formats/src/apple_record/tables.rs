//! What stands as a number in the record. The order of the tables is part of the format: new ones are added at the end.

use minidump_snapshot::{HandleKind, OperatingSystem, Purpose, RegionKind};

pub(super) const SYSTEMS: [OperatingSystem; 4] =
    [OperatingSystem::MacOs, OperatingSystem::Ios, OperatingSystem::Linux, OperatingSystem::Android];

pub(super) const REGION_KINDS: [RegionKind; 6] = [
    RegionKind::Anonymous,
    RegionKind::File,
    RegionKind::Stack,
    RegionKind::Heap,
    RegionKind::Device,
    RegionKind::Kernel,
];

pub(super) const HANDLE_KINDS: [HandleKind; 9] = [
    HandleKind::Unknown,
    HandleKind::File,
    HandleKind::Directory,
    HandleKind::SymbolicLink,
    HandleKind::CharacterDevice,
    HandleKind::BlockDevice,
    HandleKind::Fifo,
    HandleKind::Socket,
    HandleKind::Anonymous,
];

pub(super) const PURPOSES: [Purpose; 8] = [
    Purpose::BlamedStack,
    Purpose::Crash,
    Purpose::Code,
    Purpose::Stack,
    Purpose::Application,
    Purpose::Loader,
    Purpose::Indirect,
    Purpose::Full,
];

/// Where `value` stands in `table`; one that does not counts as the first.
pub(super) fn position<T: PartialEq>(table: &[T], value: &T) -> u64 {
    table.iter().position(|entry| entry == value).unwrap_or(0) as u64
}
