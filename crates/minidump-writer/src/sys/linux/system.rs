//! Facts about the machine and the system.
#![allow(unsafe_code)]

use super::proc_fs::{read_text, status_field};
use crate::snapshot::{Cpu, OperatingSystem, System, XsaveComponent};
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::ffi::{CStr, c_char, c_long};

/// XCR0 bits of x87 and SSE, whose state lies in the FXSAVE image.
const LEGACY_COMPONENTS: u8 = 2;

/// Collects the facts. None of them depends on the target. `cpu_info` is the text of /proc/cpuinfo: to make it, the
/// kernel asks each processor, so it is read once only.
pub fn system(cpu_info: Option<&[u8]>) -> System {
    // SAFETY: utsname is an array of bytes; all zeros is a valid value.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is live; on failure it stays all zeros, which are empty strings.
    unsafe { libc::uname(&raw mut name) };
    let release = text(&name.release);
    let parts = [text(&name.sysname), release.clone(), text(&name.version), text(&name.machine)];
    System {
        os: if cfg!(target_os = "android") { OperatingSystem::Android } else { OperatingSystem::Linux },
        version: version(&release),
        description: parts.join(" "),
        cpu: cpu(),
        cpu_count: u32::try_from(configuration(libc::_SC_NPROCESSORS_CONF)).unwrap_or(1).max(1),
        cpu_max_mhz: max_mhz(cpu_info),
        page_size: page_size(),
        build: format!("minidump-writer {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH),
    }
}

/// Page size in bytes.
pub fn page_size() -> u32 {
    u32::try_from(configuration(libc::_SC_PAGESIZE))
        .ok()
        .filter(|size| size.is_power_of_two())
        .unwrap_or(4096)
}

/// Clock ticks a second, the unit of times in /proc/PID/stat.
pub fn ticks_per_second() -> u64 {
    u64::try_from(configuration(libc::_SC_CLK_TCK)).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// When the machine started, in microseconds since 1970-01-01 00:00 UTC. The same instant as `btime` in /proc/stat, which
/// has it in seconds only, and for which the kernel counts all interrupts of all processors.
pub fn boot_time_us() -> Option<u64> {
    clock_us(libc::CLOCK_REALTIME)?.checked_sub(clock_us(libc::CLOCK_BOOTTIME)?)
}

/// What the clock says, in microseconds.
fn clock_us(clock: libc::clockid_t) -> Option<u64> {
    // SAFETY: timespec is plain data; all zeros is a valid value.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` is a live timespec.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    let seconds = u64::try_from(time.tv_sec).ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(u64::try_from(time.tv_nsec).ok()? / 1000)
}

fn configuration(name: libc::c_int) -> c_long {
    // SAFETY: sysconf takes any number and touches no memory of ours.
    unsafe { libc::sysconf(name) }
}

fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|byte| byte.to_ne_bytes()[0]).collect();
    CStr::from_bytes_until_nul(&bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The first three numbers of a kernel release such as `6.1.0-38-amd64`.
fn version(release: &str) -> (u32, u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

fn max_mhz(cpu_info: Option<&[u8]>) -> Option<u32> {
    let khz = read_text("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq").ok();
    let from_khz = khz.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse::<u32>().ok());
    if let Some(khz) = from_khz {
        return Some(khz / 1000);
    }
    // Virtual machines have no frequency driver; the kernel's measured clock is what they know.
    let line = cpu_info?.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"cpu MHz"))?;
    let key = std::str::from_utf8(line).ok()?.split(':').next()?.to_owned();
    status_field(line, &key)?.split('.').next()?.parse().ok()
}

/// Under a hypervisor each CPUID takes microseconds, so none is asked for what is known otherwise.
fn cpu() -> Cpu {
    let vendor = __cpuid(0);
    let version = __cpuid(1);
    // Every processor with 64-bit mode has this leaf: it is the one that tells of that mode.
    let extended_features = __cpuid(0x8000_0001).edx;
    let mut letters = [0; 12];
    for (to, from) in letters.chunks_exact_mut(4).zip([vendor.ebx, vendor.edx, vendor.ecx]) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    // Leaf 1, ECX bit 27 (OSXSAVE): the system has enabled XSAVE, so leaf 0xD tells its layout.
    let has_xsave = vendor.eax >= 0xd && version.ecx & (1 << 27) != 0;
    Cpu::Amd64 {
        vendor: letters,
        version_information: version.eax,
        feature_information: version.edx,
        extended_features,
        // SAFETY: OSXSAVE says that the system has enabled the instruction.
        xsave: if has_xsave { xsave_components(unsafe { _xgetbv(0) }) } else { Vec::new() },
    }
}

/// The XSAVE components of user state, which are those whose bits the system has set in XCR0 (Intel SDM volume 1 §13.2:
/// sub-leaf n of leaf 0xD gives size in EAX and offset in EBX).
fn xsave_components(supported: u64) -> Vec<XsaveComponent> {
    (LEGACY_COMPONENTS..63)
        .filter(|index| supported >> index & 1 == 1)
        .map(|index| {
            let component = __cpuid_count(0xd, index.into());
            XsaveComponent { index, offset: component.ebx, size: component.eax }
        })
        .filter(|component| component.offset >= 576 && component.size > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_releases_of_all_shapes_give_three_numbers() {
        assert_eq!(version("6.1.0-38-amd64"), (6, 1, 0));
        assert_eq!(version("6.18.44-fc-v669"), (6, 18, 44));
        assert_eq!(version("5.15"), (5, 15, 0));
        assert_eq!(version(""), (0, 0, 0));
    }

    #[test]
    fn the_start_of_the_machine_is_that_of_proc_stat() {
        let stat = String::from_utf8(read_text("/proc/stat").unwrap()).unwrap();
        let line = stat.lines().find_map(|line| line.strip_prefix("btime ")).unwrap();
        let known = line.trim().parse::<u64>().unwrap() * 1_000_000;
        let found = boot_time_us().unwrap();
        assert!(found.abs_diff(known) < 2_000_000, "{found} {known}");
    }

    #[test]
    fn the_processor_is_the_one_that_cpuinfo_names() {
        let info = String::from_utf8(read_text("/proc/cpuinfo").unwrap()).unwrap();
        let Cpu::Amd64 { vendor, xsave, .. } = cpu() else { panic!("not x86-64") };
        assert!(info.contains(std::str::from_utf8(&vendor).unwrap()));
        let flags = info.lines().find(|line| line.starts_with("flags")).unwrap();
        let has = |index| xsave.iter().any(|component| component.index == index);
        assert_eq!(has(2), flags.split(' ').any(|flag| flag == "avx"));
        assert_eq!(has(5), flags.split(' ').any(|flag| flag == "avx512f"));
    }
}
