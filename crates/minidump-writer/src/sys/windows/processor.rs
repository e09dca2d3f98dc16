//! Facts about the processor.
#![expect(unsafe_code, reason = "calls of the system")]

use crate::snapshot::{Cpu, WindowsProcessor};
use windows_sys::Win32::System::SystemInformation::SYSTEM_INFO;
use windows_sys::Win32::System::Threading::IsProcessorFeaturePresent;

/// What Windows tells. `machine` is what GetNativeSystemInfo says.
pub fn facts(machine: &SYSTEM_INFO) -> WindowsProcessor {
    WindowsProcessor {
        level: machine.wProcessorLevel,
        revision: machine.wProcessorRevision,
        features: [features(0), features(64)],
    }
}

/// The answers for the 64 features from number `first` on, one bit each.
fn features(first: u32) -> u64 {
    (0..64).fold(0, |bits, index| {
        // SAFETY: takes any number.
        let has = unsafe { IsProcessorFeaturePresent(first + index) } != 0;
        bits | u64::from(has) << index
    })
}

/// The processor as a 64-bit program sees it, or as a 32-bit one does (`is_wow64`).
#[cfg(target_arch = "aarch64")]
pub fn cpu(is_wow64: bool) -> Cpu {
    if !is_wow64 {
        return Cpu::Arm64;
    }
    // The system emulates one; only the program itself could ask it.
    Cpu::X86 {
        vendor: [0; 12],
        version_information: 0,
        feature_information: 0,
        extended_features: 0,
        xsave: Vec::new(),
    }
}

/// The processor as a 64-bit program sees it, or as a 32-bit one does (`is_wow64`).
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub fn cpu(is_wow64: bool) -> Cpu {
    let facts = x86::facts();
    let x86::Facts { vendor, version_information, feature_information, extended_features, xsave } = facts;
    if cfg!(target_arch = "x86") || is_wow64 {
        Cpu::X86 { vendor, version_information, feature_information, extended_features, xsave }
    } else {
        Cpu::Amd64 { vendor, version_information, feature_information, extended_features, xsave }
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod x86 {
    use crate::snapshot::XsaveComponent;
    #[cfg(target_arch = "x86")]
    use std::arch::x86::{__cpuid, __cpuid_count, _xgetbv};
    #[cfg(target_arch = "x86_64")]
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// XCR0 bits of x87 and SSE, whose state lies in the FXSAVE image.
    const LEGACY_COMPONENTS: u8 = 2;
    /// Where the components begin: behind the FXSAVE image and the header.
    const EXTENDED_OFFSET: u32 = 576;

    /// What CPUID tells, as [`Cpu`](crate::snapshot::Cpu) has it.
    pub struct Facts {
        pub vendor: [u8; 12],
        pub version_information: u32,
        pub feature_information: u32,
        pub extended_features: u32,
        pub xsave: Vec<XsaveComponent>,
    }

    pub fn facts() -> Facts {
        let (first, second) = (__cpuid(0), __cpuid(1));
        let has_extended = __cpuid(0x8000_0000).eax > 0x8000_0000;
        let mut vendor = [0; 12];
        for (to, from) in vendor.chunks_exact_mut(4).zip([first.ebx, first.edx, first.ecx]) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        // Leaf 1, ECX bit 27 (OSXSAVE): the system has enabled XSAVE, so leaf 0xD tells its layout.
        let has_xsave = first.eax >= 0xd && second.ecx & (1 << 27) != 0;
        Facts {
            vendor,
            version_information: second.eax,
            feature_information: second.edx,
            extended_features: if has_extended { __cpuid(0x8000_0001).edx } else { 0 },
            // SAFETY: OSXSAVE says that the system has enabled the instruction.
            xsave: if has_xsave { xsave_components(unsafe { _xgetbv(0) }) } else { Vec::new() },
        }
    }

    /// The components of user state, which are those whose bits the system has set in XCR0 (Intel SDM volume 1 §13.2:
    /// sub-leaf n of leaf 0xD gives size in EAX and offset in EBX). XSTATE_CONFIGURATION of Windows has the same layout.
    fn xsave_components(supported: u64) -> Vec<XsaveComponent> {
        (LEGACY_COMPONENTS..63)
            .filter(|index| supported >> index & 1 == 1)
            .map(|index| {
                let component = __cpuid_count(0xd, index.into());
                XsaveComponent { index, offset: component.ebx, size: component.eax }
            })
            .filter(|component| component.offset >= EXTENDED_OFFSET && component.size > 0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Threading::PF_COMPARE_EXCHANGE_DOUBLE;

    #[test]
    fn features_are_bits_by_their_numbers() {
        let features = facts(&SYSTEM_INFO::default()).features;
        assert_ne!(features[0] & 1 << PF_COMPARE_EXCHANGE_DOUBLE, 0, "Windows needs it");
        assert_eq!(features[1] >> 32, 0, "there are no such numbers");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_components_are_those_that_this_processor_has() {
        let Cpu::Amd64 { vendor, xsave, feature_information, .. } = cpu(false) else { panic!("not x86-64") };
        assert!(vendor.iter().all(|letter| letter.is_ascii_graphic() || *letter == b' '), "{vendor:?}");
        assert_ne!(feature_information & 1 << 25, 0, "SSE is part of x86-64");
        let avx = xsave.iter().find(|component| component.index == 2);
        assert_eq!(avx.is_some(), std::is_x86_feature_detected!("avx"));
        assert!(avx.is_none_or(|avx| (avx.offset, avx.size) == (576, 256)), "{avx:?}");
        let avx512 = xsave.iter().any(|component| component.index == 5);
        assert_eq!(avx512, std::is_x86_feature_detected!("avx512f"));
    }
}
