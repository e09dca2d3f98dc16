use crate::build::{empty, encode};
use minidump::{MinidumpMiscInfo, MinidumpSystemInfo, RawMiscInfo, system_info};
use minidump_snapshot::{OperatingSystem, Snapshot};
use std::time::{Duration, SystemTime};

const SYSTEM_INFO: u32 = 7;
const MISC_INFO: u32 = 15;

#[test]
fn the_reader_knows_system_and_processor() {
    let raw = encode(&empty());
    let info = raw.read::<MinidumpSystemInfo>();
    assert_eq!((info.os, info.cpu), (system_info::Os::Linux, system_info::Cpu::X86_64));
    assert_eq!(info.csd_version().as_deref(), Some("Linux 6.8.12 #1 SMP x86_64"));
    assert_eq!(info.cpu_info().as_deref(), Some("family 6 model 94 stepping 3"));
    let version = (info.raw.major_version, info.raw.minor_version, info.raw.build_number);
    assert_eq!(version, (6, 8, 12));
    assert_eq!(info.raw.number_of_processors, 12);
}

#[test]
fn the_processor_union_holds_vendor_and_cpuid_words() {
    let raw = encode(&empty());
    let (stream, size) = raw.stream(SYSTEM_INFO);
    assert_eq!(size, 56);
    assert_eq!((raw.u16(stream), raw.u16(stream + 2), raw.u16(stream + 4)), (9, 6, 0x5e03));
    assert_eq!(raw.u32(stream + 20), 0x8201);
    assert_eq!(raw.slice((stream + 32, 12)), b"GenuineIntel");
    let words = [raw.u32(stream + 44), raw.u32(stream + 48), raw.u32(stream + 52)];
    assert_eq!(words, [0x0005_06e3, 0xbfeb_fbff, 0x2c10_0800]);
}

#[test]
fn android_and_many_processors() {
    let mut snapshot = empty();
    snapshot.system.os = OperatingSystem::Android;
    snapshot.system.cpu_count = 300;
    let raw = encode(&snapshot);
    let (stream, _) = raw.stream(SYSTEM_INFO);
    assert_eq!(raw.u32(stream + 20), 0x8203);
    assert_eq!(raw.bytes[stream + 6], 255);
    assert_eq!(raw.read::<MinidumpSystemInfo>().os, system_info::Os::Android);
}

fn with_times() -> Snapshot {
    let mut snapshot = empty();
    snapshot.process.start_time_us = Some(1_699_999_000_999_999);
    snapshot.process.user_time_us = Some(12_900_000);
    snapshot.process.kernel_time_us = Some(3_000_000);
    snapshot
}

#[test]
fn misc_info_has_process_times_clock_and_build() {
    let raw = encode(&with_times());
    let info = raw.read::<MinidumpMiscInfo>();
    assert_eq!(info.raw.process_id(), Some(&4000));
    let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1_699_999_000);
    assert_eq!(info.process_create_time(), Some(created));
    assert_eq!(info.raw.process_user_time(), Some(&12));
    assert_eq!(info.raw.process_kernel_time(), Some(&3));
    assert_eq!(info.raw.processor_max_mhz(), Some(&3900));
    let RawMiscInfo::MiscInfo5(misc) = &info.raw else { panic!("{:?}", info.raw) };
    assert_eq!(String::from_utf16_lossy(&misc.build_string[..26]), "Linux 6.8.12 #1 SMP x86_64");
    assert_eq!(String::from_utf16_lossy(&misc.dbg_bld_str[..21]), "minidump-writer 0.1.0");
    assert_eq!((misc.build_string[26], misc.dbg_bld_str[21]), (0, 0));
}

#[test]
fn misc_info_has_the_size_and_the_flags_of_its_fifth_version() {
    let raw = encode(&with_times());
    let (stream, size) = raw.stream(MISC_INFO);
    assert_eq!((size, raw.u32(stream)), (1364, 1364));
    assert_eq!(raw.u32(stream + 4), 0x1 | 0x2 | 0x4 | 0x100);
    let mut unknown = empty();
    unknown.system.cpu_max_mhz = None;
    let raw = encode(&unknown);
    let (stream, _) = raw.stream(MISC_INFO);
    assert_eq!(raw.u32(stream + 4), 0x1 | 0x100, "unknown is not zero");
    assert_eq!(raw.read::<MinidumpMiscInfo>().process_create_time(), None);
}

#[test]
fn misc_info_describes_the_xsave_areas() {
    let raw = encode(&empty());
    let info = raw.read::<MinidumpMiscInfo>();
    let xstate = info.raw.xstate_data().unwrap();
    assert_eq!((xstate.size_of_info, xstate.context_size), (528, 2696));
    let features: Vec<_> =
        xstate.iter().map(|(index, feature)| (index, feature.offset, feature.size)).collect();
    assert_eq!(features, [(0, 0, 160), (1, 160, 256), (2, 576, 256), (9, 2688, 8)]);
}
