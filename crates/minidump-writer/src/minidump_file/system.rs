//! The machine and the process: `SystemInfo` and `MiscInfo`.

use super::streams::Streams;
use crate::convert::ConvertError;
use crate::convert::words::{u16_at, u32_at};
use crate::snapshot::{Cpu, OperatingSystem, Process, System, XsaveComponent};

const SYSTEM_INFO: u32 = 7;
const MISC_INFO: u32 = 15;
const PROCESSOR_AMD64: u16 = 9;
/// Of Windows and Crashpad, and of Breakpad.
const PROCESSOR_ARM64: [u16; 2] = [12, 0x8003];
/// `MD_OS_LINUX`, `MD_OS_ANDROID`, `MD_OS_MAC_OS_X` and `MD_OS_IOS` of Breakpad.
const LINUX: u32 = 0x8201;
const ANDROID: u32 = 0x8203;
const MAC_OS: u32 = 0x8101;
const IOS: u32 = 0x8102;
/// `VER_PLATFORM_WIN32_NT` (winnt.h).
const WINDOWS: u32 = 2;
/// Bits of `MINIDUMP_MISC_INFO::Flags1`: process id, times, clock of the processor.
const HAS_ID: u32 = 1;
const HAS_TIMES: u32 = 2;
const HAS_CLOCK: u32 = 4;
/// Size in bytes of a page of Apple's own processors.
const APPLE_ARM64_PAGE: u32 = 16384;
/// Offset of `XStateData::Features` in `MINIDUMP_MISC_INFO_5`, and of `EnabledFeatures` before it.
const FEATURES: usize = 848;
const ENABLED_FEATURES: usize = 840;
/// Offsets of `BuildString` and `DbgBldStr` in `MINIDUMP_MISC_INFO_4`, and their lengths in UTF-16 code units.
const DESCRIPTION: (usize, usize) = (232, 260);
const BUILD: (usize, usize) = (752, 40);

/// Reads the machine and the process.
///
/// # Errors
/// The dump is not of an x86-64 program of Linux, nor of an x86-64 or AArch64 program of Apple's systems.
pub fn read(streams: &Streams<'_>) -> Result<(System, Process), ConvertError> {
    let info = streams.get(SYSTEM_INFO).unwrap_or_default();
    let (Some(processor), Some(platform)) = (u16_at(&info, 0), u32_at(&info, 20)) else {
        return Err(ConvertError::Damaged { what: "it does not tell of what system it is" });
    };
    let os = match platform {
        LINUX => OperatingSystem::Linux,
        ANDROID => OperatingSystem::Android,
        MAC_OS => OperatingSystem::MacOs,
        IOS => OperatingSystem::Ios,
        WINDOWS => return Err(ConvertError::OtherMachine { what: "Windows" }),
        _ => return Err(ConvertError::OtherMachine { what: "another operating system" }),
    };
    let is_apple = matches!(os, OperatingSystem::MacOs | OperatingSystem::Ios);
    let misc = streams.get(MISC_INFO).unwrap_or_default();
    let word = |offset| u32_at(&info, offset).unwrap_or(0);
    let flags = u32_at(&misc, 4).unwrap_or(0);
    let of_misc = |bit, offset| u32_at(&misc, offset).filter(|_| flags & bit != 0);
    let cpu = match processor {
        PROCESSOR_AMD64 => amd64(&info, &misc),
        processor if is_apple && PROCESSOR_ARM64.contains(&processor) => Cpu::Arm64,
        _ => return Err(ConvertError::OtherMachine { what: "another processor" }),
    };
    let csd_version = streams.string(word(24).into()).unwrap_or_default();
    let description = if is_apple { text(&misc, DESCRIPTION) } else { csd_version };
    let system = System {
        os,
        version: (word(8), word(12), word(16)),
        description,
        page_size: if is_apple && cpu == Cpu::Arm64 { APPLE_ARM64_PAGE } else { 4096 },
        cpu,
        cpu_count: info.get(6).copied().unwrap_or(0).into(),
        cpu_max_mhz: of_misc(HAS_CLOCK, 24),
        build: text(&misc, BUILD),
    };
    let seconds = |offset| of_misc(HAS_TIMES, offset).map(|seconds| u64::from(seconds) * 1_000_000);
    let process = Process {
        pid: of_misc(HAS_ID, 8).unwrap_or(0),
        start_time_us: seconds(12),
        user_time_us: seconds(16),
        kernel_time_us: seconds(20),
        ..Process::default()
    };
    Ok((system, process))
}

fn amd64(info: &[u8], misc: &[u8]) -> Cpu {
    let word = |offset| u32_at(info, offset).unwrap_or(0);
    let mut vendor = [0; 12];
    if let Some(bytes) = info.get(32..44) {
        vendor.copy_from_slice(bytes);
    }
    Cpu::Amd64 {
        vendor,
        version_information: word(44),
        feature_information: word(48),
        extended_features: word(52),
        xsave: components(misc),
    }
}

/// What a dump calls the build of the system: the build itself on Apple's systems.
pub fn os_build(streams: &Streams<'_>) -> String {
    let info = streams.get(SYSTEM_INFO).unwrap_or_default();
    u32_at(&info, 24).and_then(|rva| streams.string(rva.into())).unwrap_or_default()
}

/// Components of the XSAVE area beyond x87 and SSE.
fn components(misc: &[u8]) -> Vec<XsaveComponent> {
    let enabled = misc.get(ENABLED_FEATURES..).and_then(|bytes| bytes.first_chunk());
    let enabled = enabled.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let component = |index: u8| {
        let at = FEATURES + 8 * usize::from(index);
        let (offset, size) = (u32_at(misc, at)?, u32_at(misc, at + 4)?);
        (enabled >> index & 1 == 1 && size > 0).then_some(XsaveComponent { index, offset, size })
    };
    (2..64).filter_map(component).collect()
}

/// The text in a field of fixed size, given by its offset and length.
fn text(misc: &[u8], (start, length): (usize, usize)) -> String {
    let units = misc.get(start..).unwrap_or_default().as_chunks::<2>().0.iter().take(length);
    let units: Vec<u16> = units.map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}
