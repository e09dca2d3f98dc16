use super::build::{arm64_thread, intel, intel_thread, mac};
use crate::build::encode;
use minidump::{MinidumpCrashpadInfo, MinidumpMiscInfo, MinidumpSystemInfo, system_info};
use minidump_snapshot::{Cpu, OperatingSystem};
use std::time::{Duration, SystemTime};

const SYSTEM_INFO: u32 = 7;
const MISC_INFO: u32 = 15;
const CRASHPAD_INFO: u32 = 0x4350_0001;

#[test]
fn readers_know_macos_its_version_and_its_build() {
    let raw = encode(&mac(Cpu::Arm64, vec![arm64_thread(1)]));
    let info = raw.read::<MinidumpSystemInfo>();
    assert_eq!((info.os, info.cpu), (system_info::Os::MacOs, system_info::Cpu::Arm64));
    assert_eq!(info.os_parts(), ("14.5.1".into(), Some("23F79".into())));
    let (stream, size) = raw.stream(SYSTEM_INFO);
    assert_eq!((size, raw.u32(stream + 20)), (56, 0x8101));
    assert_eq!((raw.bytes[stream + 6], raw.bytes[stream + 7]), (10, 1), "processors, a workstation");
    assert_eq!(raw.slice((stream + 32, 24)), [0; 24]);
}

#[test]
fn intel_has_vendor_and_cpuid_words() {
    let raw = encode(&mac(intel(), vec![intel_thread(1)]));
    let (stream, _) = raw.stream(SYSTEM_INFO);
    assert_eq!((raw.u16(stream), raw.u16(stream + 2), raw.u16(stream + 4)), (9, 6, 0x5e03));
    assert_eq!(raw.slice((stream + 32, 12)), b"GenuineIntel");
    let info = raw.read::<MinidumpSystemInfo>();
    assert_eq!((info.os, info.cpu), (system_info::Os::MacOs, system_info::Cpu::X86_64));
    assert_eq!(info.cpu_info().as_deref(), Some("family 6 model 94 stepping 3"));
}

#[test]
fn ios_has_its_own_platform() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.system.os = OperatingSystem::Ios;
    let raw = encode(&snapshot);
    assert_eq!(raw.u32(raw.stream(SYSTEM_INFO).0 + 20), 0x8102);
    assert_eq!(raw.read::<MinidumpSystemInfo>().os, system_info::Os::Ios);
}

#[test]
fn without_a_build_the_description_stands_for_it() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.apple = None;
    let info = encode(&snapshot).read::<MinidumpSystemInfo>();
    assert_eq!(info.csd_version().as_deref(), Some("Darwin 23.5.0 root:xnu-10063.121.3"));
}

#[test]
fn misc_info_has_process_and_times_and_no_clock_on_apples_own_processors() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.process.start_time_us = Some(1_699_999_000_999_999);
    snapshot.process.user_time_us = Some(12_900_000);
    snapshot.process.kernel_time_us = Some(3_000_000);
    let raw = encode(&snapshot);
    let info = raw.read::<MinidumpMiscInfo>();
    let created = SystemTime::UNIX_EPOCH + Duration::from_secs(1_699_999_000);
    assert_eq!((info.raw.process_id(), info.process_create_time()), (Some(&4000), Some(created)));
    assert_eq!((info.raw.process_user_time(), info.raw.process_kernel_time()), (Some(&12), Some(&3)));
    assert_eq!(raw.u32(raw.stream(MISC_INFO).0 + 4), 0x1 | 0x2 | 0x100, "no clock");
    assert_eq!(info.raw.xstate_data().unwrap().enabled_features, 0);
}

#[test]
fn the_address_mask_is_where_crashpad_has_it() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    snapshot.apple.as_mut().unwrap().address_bits = Some(47);
    let raw = encode(&snapshot);
    let (stream, size) = raw.stream(CRASHPAD_INFO);
    assert_eq!((size, raw.u32(stream), raw.u32(stream + 52)), (64, 1, 0));
    assert_eq!(raw.u64(stream + 56), 0xffff_8000_0000_0000);
    snapshot.annotations = vec![("key".into(), "value".into())];
    let info = encode(&snapshot).read::<MinidumpCrashpadInfo>();
    assert_eq!(info.simple_annotations["key"], "value");
}

#[test]
fn a_mask_that_is_not_known_is_not_told() {
    let mut snapshot = mac(Cpu::Arm64, vec![arm64_thread(1)]);
    for bits in [None, Some(0), Some(64), Some(255)] {
        snapshot.apple.as_mut().unwrap().address_bits = bits;
        assert_eq!(encode(&snapshot).find(CRASHPAD_INFO), None);
    }
    snapshot.annotations = vec![("key".into(), "value".into())];
    assert_eq!(encode(&snapshot).stream(CRASHPAD_INFO).1, 52);
}
