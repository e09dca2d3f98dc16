//! Facts about the machine and the system.
#![expect(unsafe_code, reason = "calls of the system")]

use super::ntdll::find;
use super::{processor, time_zone};
use crate::snapshot::{OperatingSystem, System, WindowsFacts};
use std::ffi::c_void;
use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::Foundation::NTSTATUS;
use windows_sys::Win32::System::SystemInformation::{GetNativeSystemInfo, OSVERSIONINFOEXW, SYSTEM_INFO};

/// `ProcessorInformation` of POWER_INFORMATION_LEVEL.
const PROCESSOR_INFORMATION: i32 = 11;
/// Most processors that are asked for their clock.
const MOST_PROCESSORS: usize = 4096;

type PowerInformation = unsafe extern "system" fn(i32, *const c_void, u32, *mut c_void, u32) -> NTSTATUS;

/// Collects the facts: in the words of all systems, and those that only Windows has. None of them depends on the target, but
/// for the processor that a 32-bit program sees (`is_wow64`).
pub fn system(is_wow64: bool) -> (System, WindowsFacts) {
    let version = version();
    let mut machine = SYSTEM_INFO::default();
    // SAFETY: the pointer is to a structure of the type that the call writes.
    unsafe { GetNativeSystemInfo(&raw mut machine) };
    let numbers = (version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber);
    let service_pack = text(&version.szCSDVersion);
    let system = System {
        os: OperatingSystem::Windows,
        version: numbers,
        description: description(numbers, &service_pack),
        cpu: processor::cpu(is_wow64),
        cpu_count: machine.dwNumberOfProcessors.max(1),
        cpu_max_mhz: max_mhz(machine.dwNumberOfProcessors),
        page_size: machine.dwPageSize,
        build: format!("minidump-writer {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH),
    };
    let facts = WindowsFacts {
        product_type: version.wProductType,
        suite_mask: version.wSuiteMask,
        service_pack,
        processor: Some(processor::facts(&machine)),
        time_zone: time_zone::time_zone(),
        ..WindowsFacts::default()
    };
    (system, facts)
}

/// The true version: GetVersionEx tells programs one that they say they know.
fn version() -> OSVERSIONINFOEXW {
    let size = u32::try_from(size_of::<OSVERSIONINFOEXW>()).unwrap_or(0);
    let mut version = OSVERSIONINFOEXW { dwOSVersionInfoSize: size, ..OSVERSIONINFOEXW::default() };
    // SAFETY: the structure tells its own size, so the call knows that it is the longer form.
    unsafe { RtlGetVersion((&raw mut version).cast()) };
    version
}

fn description((major, minor, build): (u32, u32, u32), service_pack: &str) -> String {
    let space = if service_pack.is_empty() { "" } else { " " };
    format!("Windows {major}.{minor}.{build}{space}{service_pack}")
}

/// The highest clock of any processor. The documented call (CallNtPowerInformation) is in a library of its own; it is a thin
/// cover of this one.
fn max_mhz(processors: u32) -> Option<u32> {
    let address = find(c"ntdll.dll", c"NtPowerInformation")?;
    // SAFETY: the function of this name has this signature (wdm.h, where it is ZwPowerInformation).
    let call: PowerInformation = unsafe { std::mem::transmute(address) };
    // PROCESSOR_POWER_INFORMATION: number, highest clock, present clock, limit, highest and present idle state.
    let mut clocks = vec![[0_u32; 6]; usize::try_from(processors).ok()?.min(MOST_PROCESSORS)];
    let size = u32::try_from(size_of_val(clocks.as_slice())).ok()?;
    let buffer = clocks.as_mut_ptr().cast();
    // SAFETY: the buffer has as many bytes as are said.
    let status = unsafe { call(PROCESSOR_INFORMATION, std::ptr::null(), 0, buffer, size) };
    let highest = clocks.iter().map(|[_, highest, ..]| *highest).max()?;
    (status >= 0 && highest > 0).then_some(highest)
}

/// The text in UTF-16 up to the first zero.
pub fn text(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(units.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Cpu;
    use std::process::Command;

    #[test]
    fn the_version_is_that_of_the_command_interpreter() {
        let (system, facts) = system(false);
        let (major, minor, build) = system.version;
        let said = Command::new("cmd").args(["/c", "ver"]).output().unwrap().stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains(&format!("{major}.{minor}.{build}")), "{said}");
        let expected = format!("Windows {major}.{minor}.{build} {}", facts.service_pack);
        assert_eq!(system.description, expected.trim_end());
        assert!((1..=3).contains(&facts.product_type));
        assert_eq!(system.os, OperatingSystem::Windows);
    }

    #[test]
    fn processors_and_pages_are_what_the_environment_says() {
        let (system, facts) = system(false);
        let count = std::env::var("NUMBER_OF_PROCESSORS").unwrap();
        assert_eq!(system.cpu_count.to_string(), count);
        assert_eq!(system.page_size, 4096);
        assert!(
            system.cpu_max_mhz.is_none_or(|clock| (100..20_000).contains(&clock)),
            "{:?}",
            system.cpu_max_mhz
        );
        let level = std::env::var("PROCESSOR_LEVEL").unwrap();
        assert_eq!(facts.processor.unwrap().level.to_string(), level);
        let revision = u16::from_str_radix(&std::env::var("PROCESSOR_REVISION").unwrap(), 16).unwrap();
        assert_eq!(facts.processor.unwrap().revision, revision);
    }

    #[test]
    fn a_32_bit_program_has_a_32_bit_processor() {
        assert!(matches!(system(true).0.cpu, Cpu::X86 { .. }));
    }
}
