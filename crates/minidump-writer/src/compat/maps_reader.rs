//! Mappings that the caller knows better than a dumper can.

use crate::snapshot::{Module, ModuleId};
use bitflags::bitflags;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// Name of the code that the kernel maps into every process (vdso, formerly linux-gate), as dumps have it.
pub const LINUX_GATE_LIBRARY_NAME: &str = "linux-gate.so";

/// What /proc/PID/maps puts behind the path of a file that has been removed.
pub const DELETED_SUFFIX: &[u8] = b" (deleted)";

bitflags! {
    /// Access rights of a mapping, with the values that the published API takes from its parser of /proc.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct MMPermissions: u8 {
        /// None at all.
        const NONE = 0;
        /// Readable.
        const READ = 1;
        /// Writable.
        const WRITE = 2;
        /// Executable.
        const EXECUTE = 4;
        /// Writes go to the file or to other processes.
        const SHARED = 8;
        /// Writes stay in the process.
        const PRIVATE = 16;
    }
}

/// Addresses of a mapping as the operating system tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SystemMappingInfo {
    /// First address.
    pub start_address: usize,
    /// First address behind it.
    pub end_address: usize,
}

/// A mapping.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MappingInfo {
    /// First address.
    pub start_address: usize,
    /// Size in bytes.
    pub size: usize,
    /// Addresses as the operating system tells them. They differ from the others only where Android packed relocations.
    pub system_mapping_info: SystemMappingInfo,
    /// Offset into the file, in bytes.
    pub offset: usize,
    /// Access rights.
    pub permissions: MMPermissions,
    /// Path or name.
    pub name: Option<OsString>,
}

impl MappingInfo {
    /// Whether the name is a path.
    #[must_use]
    pub fn name_is_path(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.as_bytes().contains(&b'/'))
    }

    /// Whether this is address space that its owner has only reserved: private, without access, name or file.
    #[must_use]
    pub fn is_empty_page(&self) -> bool {
        self.offset == 0 && self.permissions == MMPermissions::PRIVATE && self.name.is_none()
    }

    /// First address behind it.
    #[must_use]
    pub fn end_address(&self) -> usize {
        self.start_address.saturating_add(self.size)
    }

    /// Whether `address` lies in what the operating system has as this mapping.
    #[must_use]
    pub fn contains_address(&self, address: usize) -> bool {
        let SystemMappingInfo { start_address, end_address } = self.system_mapping_info;
        (start_address..end_address).contains(&address)
    }

    /// Whether it may be executed.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.permissions.contains(MMPermissions::EXECUTE)
    }

    /// Whether it may be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.permissions.contains(MMPermissions::READ)
    }

    /// Whether it may be written.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.permissions.contains(MMPermissions::WRITE)
    }
}

/// A mapping that becomes a module of the dump.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct MappingEntry {
    /// Where it lies and what it is called.
    pub mapping: MappingInfo,
    /// Its build id; empty when it has none.
    pub identifier: Vec<u8>,
}

/// The mappings of a caller.
pub type MappingList = Vec<MappingEntry>;

impl From<MappingEntry> for Module {
    fn from(entry: MappingEntry) -> Self {
        let MappingEntry { mapping, identifier } = entry;
        let name = mapping.name.map(OsString::into_vec).unwrap_or_default();
        let path = name.strip_suffix(DELETED_SUFFIX).unwrap_or(&name).to_vec();
        Self {
            base: mapping.start_address as u64,
            size: mapping.size as u64,
            deleted: path.len() != name.len(),
            path,
            soname: None,
            version: None,
            id: Some(identifier).filter(|id| !id.is_empty()).map(ModuleId::BuildId),
            is_main: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, identifier: &[u8]) -> MappingEntry {
        let system_mapping_info = SystemMappingInfo { start_address: 0x1000, end_address: 0x4000 };
        let mapping = MappingInfo {
            start_address: 0x2000,
            size: 0x1800,
            system_mapping_info,
            offset: 0x200,
            permissions: MMPermissions::READ | MMPermissions::EXECUTE,
            name: Some(name.into()),
        };
        MappingEntry { mapping, identifier: identifier.to_vec() }
    }

    #[test]
    fn a_mapping_becomes_a_module_with_its_own_identifier() {
        let module = Module::from(entry("/opt/jit.so", &[1, 2, 3]));
        assert_eq!((module.base, module.size), (0x2000, 0x1800));
        assert_eq!(module.path, b"/opt/jit.so");
        assert_eq!(module.id, Some(ModuleId::BuildId(vec![1, 2, 3])));
        assert!(!module.deleted);
    }

    #[test]
    fn a_mapping_tells_where_it_lies_and_what_it_allows() {
        let mapping = entry("/opt/jit.so", &[]).mapping;
        assert!(mapping.name_is_path() && mapping.is_readable() && mapping.is_executable());
        assert!(!mapping.is_writable() && !mapping.is_empty_page());
        assert_eq!(mapping.end_address(), 0x3800);
        let contained = [0xfff, 0x1000, 0x3fff, 0x4000].map(|address| mapping.contains_address(address));
        assert_eq!(contained, [false, true, true, false]);
        let reserved = MappingInfo { permissions: MMPermissions::PRIVATE, ..MappingInfo::default() };
        assert!(reserved.is_empty_page() && !reserved.name_is_path());
    }

    #[test]
    fn a_module_without_identifier_has_none_and_a_removed_file_loses_its_suffix() {
        let module = Module::from(entry("/opt/jit.so (deleted)", &[]));
        assert_eq!(module.path, b"/opt/jit.so");
        assert_eq!(module.id, None);
        assert!(module.deleted);
        assert_eq!(Module::from(MappingEntry::default()).path, b"");
    }
}
