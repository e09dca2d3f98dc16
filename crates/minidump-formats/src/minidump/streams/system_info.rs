use super::processor::Processor;
use crate::minidump::context::ContextKind;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{CPU_INFORMATION, MINIDUMP_STREAM_TYPE, MINIDUMP_SYSTEM_INFO, PlatformId};
use minidump_snapshot::{OperatingSystem, Snapshot};

/// `VER_PLATFORM_WIN32_NT` of winnt.h, which minidump-common numbers differently.
const WIN32_NT: u32 = 2;

/// Operating system and processor.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_system_info>;
/// platform ids beyond Windows are Breakpad's. For x86-64 the processor union holds the x86 member on Linux: vendor,
/// CPUID leaf 1 EAX and EDX, leaf `0x8000_0001` EDX; so on macOS. For AArch64 it is
/// zero. On Windows it is as Microsoft has it.
pub(crate) struct SystemInfoSection<'a> {
    pub snapshot: &'a Snapshot,
    pub contexts: ContextKind,
}

/// `VER_NT_WORKSTATION` on Apple's systems, as all writers there have it.
fn product_type(snapshot: &Snapshot) -> u8 {
    match (snapshot.system.os, &snapshot.windows) {
        (OperatingSystem::MacOs | OperatingSystem::Ios, _) => 1,
        (OperatingSystem::Windows, Some(facts)) => facts.product_type,
        _ => 0,
    }
}

/// The text that readers show as the build: on Windows the service pack, on Apple's systems the build, on others the whole
/// of `uname`.
fn service_pack(snapshot: &Snapshot) -> &str {
    if snapshot.system.os == OperatingSystem::Windows {
        return snapshot.windows.as_ref().map_or("", |facts| &facts.service_pack);
    }
    let build = snapshot.apple.as_ref().map(|facts| facts.os_build.as_str());
    build.filter(|build| !build.is_empty()).unwrap_or(&snapshot.system.description)
}

impl SectionWriter for SystemInfoSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let system = &self.snapshot.system;
        let processor = match system.os {
            OperatingSystem::Windows => Processor::of_windows(self.snapshot),
            _ => Processor::of(&system.cpu),
        };
        buffer.align(4);
        let start = buffer.position();
        let slot = buffer.reserve_array::<MINIDUMP_SYSTEM_INFO>(1)?;
        let location = buffer.location_since(start)?;
        let platform = match system.os {
            OperatingSystem::Linux => PlatformId::Linux as u32,
            OperatingSystem::Android => PlatformId::Android as u32,
            OperatingSystem::MacOs => PlatformId::MacOs as u32,
            OperatingSystem::Ios => PlatformId::Ios as u32,
            OperatingSystem::Windows => WIN32_NT,
            _ => PlatformId::Unix as u32,
        };
        let (major_version, minor_version, build_number) = system.version;
        let raw = MINIDUMP_SYSTEM_INFO {
            processor_architecture: self.contexts.architecture() as u16,
            processor_level: processor.level,
            processor_revision: processor.revision,
            number_of_processors: u8::try_from(system.cpu_count).unwrap_or(u8::MAX),
            product_type: product_type(self.snapshot),
            major_version,
            minor_version,
            build_number,
            platform_id: platform,
            csd_version_rva: buffer.write_string(service_pack(self.snapshot).as_bytes())?,
            suite_mask: self.snapshot.windows.as_ref().map_or(0, |facts| facts.suite_mask),
            reserved2: 0,
            cpu: CPU_INFORMATION { data: processor.data },
        };
        buffer.fill(&slot, 0, raw)?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::SystemInfoStream.into()
    }

    fn size_hint(&self) -> usize {
        72 + 2 * service_pack(self.snapshot).len()
    }
}
