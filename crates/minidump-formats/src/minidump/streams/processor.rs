//! What the system information tells of the processor.

use minidump_snapshot::{Cpu, Snapshot, WindowsProcessor, XsaveComponent};

/// Numbers of `PF_*` (winnt.h) that follow from a bit of CPUID leaf 1, EDX, each with the number of that bit.
const OF_FEATURES: [(u32, u32); 6] = [
    (2, 8),   // PF_COMPARE_EXCHANGE_DOUBLE
    (3, 23),  // PF_MMX_INSTRUCTIONS_AVAILABLE
    (6, 25),  // PF_XMMI_INSTRUCTIONS_AVAILABLE
    (8, 4),   // PF_RDTSC_INSTRUCTION_AVAILABLE
    (9, 6),   // PF_PAE_ENABLED
    (10, 26), // PF_XMMI64_INSTRUCTIONS_AVAILABLE
];
/// The same of leaf `0x8000_0001`, EDX.
const OF_EXTENDED_FEATURES: [(u32, u32); 2] = [
    (7, 31),  // PF_3DNOW_INSTRUCTIONS_AVAILABLE
    (12, 20), // PF_NX_ENABLED
];
/// `PF_XSAVE_ENABLED` and `PF_AVX_INSTRUCTIONS_AVAILABLE`, and the component that AVX needs.
const XSAVE_ENABLED: u64 = 1 << 17;
const AVX_AVAILABLE: u64 = 1 << 39;
const AVX: u8 = 2;

/// What the stream tells of the processor.
pub(super) struct Processor {
    pub level: u16,
    pub revision: u16,
    /// `CPU_INFORMATION`.
    pub data: [u8; 24],
}

impl Processor {
    /// Of a system that is not Windows.
    ///
    /// Of x86-64 the union has the member of x86, as Breakpad has it there.
    pub(super) fn of(cpu: &Cpu) -> Self {
        let Some(cpuid) = Cpuid::of(cpu) else { return Self { level: 0, revision: 0, data: [0; 24] } };
        let (level, revision) = cpuid.level_and_revision();
        Self { level, revision, data: cpuid.x86_member() }
    }

    /// Of Windows.
    ///
    /// Microsoft's page has the member `X86CpuInfo` for 32-bit x86 alone, and `OtherCpuInfo`, the answers of
    /// IsProcessorFeaturePresent, for all others: so x86-64 has these, where Breakpad's writers for other systems put the
    /// vendor. Nothing is lost by it: readers of Breakpad's family look at the vendor in dumps of 32-bit x86 only and take
    /// family, model and stepping from level and revision, which are the same in both; and LLDB looks at neither.
    ///
    /// Source: <https://learn.microsoft.com/windows/win32/api/minidumpapiset/ns-minidumpapiset-minidump_system_info>.
    pub(super) fn of_windows(snapshot: &Snapshot) -> Self {
        let cpu = &snapshot.system.cpu;
        let told = snapshot.windows.as_ref().and_then(|facts| facts.processor);
        let cpuid = Cpuid::of(cpu);
        let by_cpuid = cpuid.as_ref().map(Cpuid::level_and_revision);
        let by_system = told.map(|WindowsProcessor { level, revision, .. }| (level, revision));
        let (level, revision) = by_system.or(by_cpuid).unwrap_or_default();
        let data = match (cpu, cpuid) {
            (Cpu::X86 { .. }, Some(cpuid)) => cpuid.x86_member(),
            (_, cpuid) => {
                let derived = cpuid.map(|cpuid| [cpuid.features(), 0]);
                let features = told.map(|told| told.features).or(derived).unwrap_or_default();
                padded(features.iter().flat_map(|half| half.to_le_bytes()))
            }
        };
        Self { level, revision, data }
    }
}

/// What CPUID tells.
struct Cpuid<'a> {
    vendor: &'a [u8; 12],
    version: u32,
    features: u32,
    extended_features: u32,
    xsave: &'a [XsaveComponent],
}

impl<'a> Cpuid<'a> {
    fn of(cpu: &'a Cpu) -> Option<Self> {
        let (Cpu::Amd64 { vendor, version_information, feature_information, extended_features, xsave }
        | Cpu::X86 { vendor, version_information, feature_information, extended_features, xsave }) = cpu
        else {
            return None;
        };
        let (version, features, extended_features) =
            (*version_information, *feature_information, *extended_features);
        Some(Self { vendor, version, features, extended_features, xsave })
    }

    /// Family, and model and stepping as Windows has them in one number.
    fn level_and_revision(&self) -> (u16, u16) {
        let (family, model, stepping) = family_model_stepping(self.version);
        (family, model << 8 | stepping)
    }

    /// `X86CpuInfo`: vendor, leaf 1 EAX and EDX, leaf `0x8000_0001` EDX.
    fn x86_member(&self) -> [u8; 24] {
        let words = [self.version, self.features, self.extended_features];
        padded(self.vendor.iter().copied().chain(words.into_iter().flat_map(u32::to_le_bytes)))
    }

    /// As many of the answers of IsProcessorFeaturePresent as follow.
    fn features(&self) -> u64 {
        let of = |table: &[(u32, u32)], word: u32| {
            let present = table.iter().filter(|(_, bit)| word >> bit & 1 == 1);
            present.fold(0_u64, |features, (number, _)| features | 1 << number)
        };
        let xsave = if self.xsave.is_empty() { 0 } else { XSAVE_ENABLED };
        let has_avx = self.xsave.iter().any(|component| component.index == AVX);
        let avx = if has_avx { AVX_AVAILABLE } else { 0 };
        of(&OF_FEATURES, self.features) | of(&OF_EXTENDED_FEATURES, self.extended_features) | xsave | avx
    }
}

fn padded(bytes: impl Iterator<Item = u8>) -> [u8; 24] {
    let mut data = [0; 24];
    for (slot, byte) in data.iter_mut().zip(bytes) {
        *slot = byte;
    }
    data
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

    #[test]
    fn features_that_follow_from_cpuid_have_the_numbers_of_windows() {
        let avx = XsaveComponent { index: 2, offset: 576, size: 256 };
        let mut cpuid = Cpuid {
            vendor: b"GenuineIntel",
            version: 0,
            features: u32::MAX,
            extended_features: u32::MAX,
            xsave: &[avx],
        };
        assert_eq!(cpuid.features(), 0x80_0002_17cc);
        (cpuid.features, cpuid.extended_features, cpuid.xsave) = (1 << 26, 0, &[]);
        assert_eq!(cpuid.features(), 1 << 10);
    }
}
