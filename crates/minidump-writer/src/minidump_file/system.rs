//! The machine and the process: `SystemInfo` and `MiscInfo`.

use super::streams::Streams;
use crate::convert::ConvertError;
use crate::convert::words::{u16_at, u32_at};
use crate::snapshot::{Cpu, OperatingSystem, Process, System, XsaveComponent};

const SYSTEM_INFO: u32 = 7;
const MISC_INFO: u32 = 15;
const PROCESSOR_AMD64: u16 = 9;
/// `MD_OS_LINUX` and `MD_OS_ANDROID` of Breakpad.
const LINUX: u32 = 0x8201;
const ANDROID: u32 = 0x8203;
/// Bits of `MINIDUMP_MISC_INFO::Flags1`: process id, times, clock of the processor.
const HAS_ID: u32 = 1;
const HAS_TIMES: u32 = 2;
const HAS_CLOCK: u32 = 4;
/// Offset of `XStateData::Features` in `MINIDUMP_MISC_INFO_5`, and of `EnabledFeatures` before it.
const FEATURES: usize = 848;
const ENABLED_FEATURES: usize = 840;
/// Offset of `DbgBldStr` in `MINIDUMP_MISC_INFO_4`, and its length in UTF-16 code units.
const BUILD: (usize, usize) = (752, 40);

/// Reads the machine and the process.
///
/// # Errors
/// The dump is not of an x86-64 Linux program.
pub fn read(streams: &Streams<'_>) -> Result<(System, Process), ConvertError> {
    let info = streams.get(SYSTEM_INFO).unwrap_or_default();
    let (Some(processor), Some(platform)) = (u16_at(&info, 0), u32_at(&info, 20)) else {
        return Err(ConvertError::Damaged { what: "it does not tell of what system it is" });
    };
    let os = match platform {
        LINUX => OperatingSystem::Linux,
        ANDROID => OperatingSystem::Android,
        _ => return Err(ConvertError::OtherMachine { what: "another operating system" }),
    };
    if processor != PROCESSOR_AMD64 {
        return Err(ConvertError::OtherMachine { what: "another processor" });
    }
    let misc = streams.get(MISC_INFO).unwrap_or_default();
    let word = |offset| u32_at(&info, offset).unwrap_or(0);
    let flags = u32_at(&misc, 4).unwrap_or(0);
    let of_misc = |bit, offset| u32_at(&misc, offset).filter(|_| flags & bit != 0);
    let mut vendor = [0; 12];
    if let Some(bytes) = info.get(32..44) {
        vendor.copy_from_slice(bytes);
    }
    let system = System {
        os,
        version: (word(8), word(12), word(16)),
        description: streams.string(word(24).into()).unwrap_or_default(),
        cpu: Cpu::Amd64 {
            vendor,
            version_information: word(44),
            feature_information: word(48),
            extended_features: word(52),
            xsave: components(&misc),
        },
        cpu_count: info.get(6).copied().unwrap_or(0).into(),
        cpu_max_mhz: of_misc(HAS_CLOCK, 24),
        page_size: 4096,
        build: build(&misc),
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

fn build(misc: &[u8]) -> String {
    let (start, length) = BUILD;
    let units = misc.get(start..).unwrap_or_default().as_chunks::<2>().0.iter().take(length);
    let units: Vec<u16> = units.map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0).collect();
    String::from_utf16_lossy(&units)
}
