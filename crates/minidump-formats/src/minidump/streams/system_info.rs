use crate::minidump::context::ContextKind;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{CPU_INFORMATION, MINIDUMP_STREAM_TYPE, MINIDUMP_SYSTEM_INFO, PlatformId};
use minidump_snapshot::{Cpu, OperatingSystem, Snapshot};

/// Operating system and processor.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_system_info>;
/// platform ids beyond Windows are Breakpad's. For x86-64 the processor union holds the x86 member on Linux: vendor,
/// CPUID leaf 1 EAX and EDX, leaf `0x8000_0001` EDX; so on macOS. For AArch64 it is
/// zero.
pub(crate) struct SystemInfoSection<'a> {
    pub snapshot: &'a Snapshot,
    pub contexts: ContextKind,
}

/// What the stream tells of the processor.
struct Processor {
    level: u16,
    revision: u16,
    data: [u8; 24],
}

impl Processor {
    fn of(cpu: &Cpu) -> Self {
        let Cpu::Amd64 { vendor, version_information, feature_information, extended_features, .. } = cpu
        else {
            return Self { level: 0, revision: 0, data: [0; 24] };
        };
        let words = [version_information, feature_information, extended_features];
        let bytes = vendor.iter().copied().chain(words.iter().flat_map(|word| word.to_le_bytes()));
        let mut data = [0; 24];
        for (slot, byte) in data.iter_mut().zip(bytes) {
            *slot = byte;
        }
        let (family, model, stepping) = family_model_stepping(*version_information);
        Self { level: family, revision: model << 8 | stepping, data }
    }
}

/// Source: Intel SDM volume 2, CPUID leaf 1: the extended fields count for family 15, the extended model for family 6
/// too. AMD defines the same, and has no family 6 with an extended model.
fn family_model_stepping(eax: u32) -> (u16, u16, u16) {
    let bits = |shift: u32, mask: u32| u16::try_from((eax >> shift) & mask).unwrap_or(0);
    let base_family = bits(8, 0xf);
    let family = if base_family == 15 { base_family + bits(20, 0xff) } else { base_family };
    let extended = if matches!(base_family, 6 | 15) { bits(16, 0xf) } else { 0 };
    (family, extended << 4 | bits(4, 0xf), bits(0, 0xf))
}

/// `VER_NT_WORKSTATION` on Apple's systems, as all writers there have it.
fn product_type(os: OperatingSystem) -> u8 {
    u8::from(matches!(os, OperatingSystem::MacOs | OperatingSystem::Ios))
}

/// The text that readers show as the build: on Apple's systems the build, on others the whole of `uname`.
fn service_pack(snapshot: &Snapshot) -> &str {
    let build = snapshot.apple.as_ref().map(|facts| facts.os_build.as_str());
    build.filter(|build| !build.is_empty()).unwrap_or(&snapshot.system.description)
}

impl SectionWriter for SystemInfoSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let system = &self.snapshot.system;
        let processor = Processor::of(&system.cpu);
        buffer.align(4);
        let start = buffer.position();
        let slot = buffer.reserve_array::<MINIDUMP_SYSTEM_INFO>(1)?;
        let location = buffer.location_since(start)?;
        let platform = match system.os {
            OperatingSystem::Linux => PlatformId::Linux as u32,
            OperatingSystem::Android => PlatformId::Android as u32,
            OperatingSystem::MacOs => PlatformId::MacOs as u32,
            OperatingSystem::Ios => PlatformId::Ios as u32,
            _ => PlatformId::Unix as u32,
        };
        let (major_version, minor_version, build_number) = system.version;
        let raw = MINIDUMP_SYSTEM_INFO {
            processor_architecture: self.contexts.architecture() as u16,
            processor_level: processor.level,
            processor_revision: processor.revision,
            number_of_processors: u8::try_from(system.cpu_count).unwrap_or(u8::MAX),
            product_type: product_type(system.os),
            major_version,
            minor_version,
            build_number,
            platform_id: platform,
            csd_version_rva: buffer.write_string(service_pack(self.snapshot).as_bytes())?,
            suite_mask: 0,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_and_model_follow_the_manual() {
        // Skylake, Zen 2, Pentium 4, i486 DX4.
        assert_eq!(family_model_stepping(0x0005_06e3), (6, 0x5e, 3));
        assert_eq!(family_model_stepping(0x0083_0f10), (0x17, 0x31, 0));
        assert_eq!(family_model_stepping(0x0000_0f29), (15, 2, 9));
        assert_eq!(family_model_stepping(0x000f_0480), (4, 8, 0));
        assert_eq!(family_model_stepping(u32::MAX), (15 + 255, 255, 15));
    }
}
