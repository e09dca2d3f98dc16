//! Facts about the machine and the system.
#![expect(unsafe_code, reason = "calls of the system")]

use crate::snapshot::{Cpu, OperatingSystem, System};
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::System::SystemInformation::{GetNativeSystemInfo, OSVERSIONINFOW, SYSTEM_INFO};

/// Collects the facts. None of them depends on the target, but for the processor that a 32-bit program sees.
pub fn system(is_wow64: bool) -> System {
    let size = u32::try_from(size_of::<OSVERSIONINFOW>()).unwrap_or(0);
    let mut version = OSVERSIONINFOW { dwOSVersionInfoSize: size, ..OSVERSIONINFOW::default() };
    // SAFETY: the structure tells its own size.
    unsafe { RtlGetVersion(&raw mut version) };
    let mut machine = SYSTEM_INFO::default();
    // SAFETY: the pointer is to a structure of the type that the call writes.
    unsafe { GetNativeSystemInfo(&raw mut machine) };
    let version = (version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber);
    System {
        os: OperatingSystem::Windows,
        version,
        description: format!("Windows {}.{}.{}", version.0, version.1, version.2),
        cpu: cpu(is_wow64),
        cpu_count: machine.dwNumberOfProcessors.max(1),
        cpu_max_mhz: None,
        page_size: machine.dwPageSize,
        build: format!("minidump-writer {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH),
    }
}

#[cfg(target_arch = "aarch64")]
fn cpu(is_wow64: bool) -> Cpu {
    if !is_wow64 {
        return Cpu::Arm64;
    }
    Cpu::X86 {
        vendor: [0; 12],
        version_information: 0,
        feature_information: 0,
        extended_features: 0,
        xsave: Vec::new(),
    }
}

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn cpu(is_wow64: bool) -> Cpu {
    #[cfg(target_arch = "x86")]
    use std::arch::x86::__cpuid;
    #[cfg(target_arch = "x86_64")]
    use std::arch::x86_64::__cpuid;
    let (first, second) = (__cpuid(0), __cpuid(1));
    let has_extended = __cpuid(0x8000_0000).eax > 0x8000_0000;
    let extended_features = if has_extended { __cpuid(0x8000_0001).edx } else { 0 };
    let mut vendor = [0; 12];
    for (to, from) in vendor.chunks_exact_mut(4).zip([first.ebx, first.edx, first.ecx]) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    let (version_information, feature_information) = (second.eax, second.edx);
    let xsave = super::registers::xstate::components();
    if cfg!(target_arch = "x86") || is_wow64 {
        Cpu::X86 { vendor, version_information, feature_information, extended_features, xsave }
    } else {
        Cpu::Amd64 { vendor, version_information, feature_information, extended_features, xsave }
    }
}
