use super::build::{amd64, windows, with, x86};
use crate::build::encode;
use crate::raw::Raw;
use minidump::MinidumpSystemInfo;
use minidump_snapshot::{Cpu, Snapshot, WindowsProcessor};
use std::borrow::Cow;

fn told(cpu: Cpu, processor: Option<WindowsProcessor>) -> Raw {
    encode(&with(windows(cpu, vec![]), |facts| {
        facts.processor = processor;
        facts.product_type = 3;
        facts.suite_mask = 0x0110;
        facts.service_pack = "Service Pack 1".into();
    }))
}

/// The union, as four numbers of which the last two are zero but on x86.
fn union(raw: &Raw) -> [u64; 3] {
    let (at, size) = raw.stream(7);
    assert_eq!(size, 56);
    [raw.u64(at + 32), raw.u64(at + 40), raw.u64(at + 48)]
}

#[test]
fn every_field_lies_where_microsoft_has_it() {
    for (cpu, architecture) in [(x86(), 0), (amd64(), 9), (Cpu::Arm64, 12)] {
        let raw = told(cpu, Some(WindowsProcessor { level: 6, revision: 0x5e03, features: [1, 2] }));
        let (at, _) = raw.stream(7);
        let shorts = [raw.u16(at), raw.u16(at + 2), raw.u16(at + 4)];
        assert_eq!(shorts, [architecture, 6, 0x5e03]);
        assert_eq!((raw.bytes[at + 6], raw.bytes[at + 7]), (8, 3), "processors, product type");
        let version: Vec<u32> = (0..4).map(|index| raw.u32(at + 8 + 4 * index)).collect();
        assert_eq!(version, [10, 0, 19045, 2], "the platform is VER_PLATFORM_WIN32_NT");
        assert_eq!(raw.string(raw.u32(at + 24) as usize), "Service Pack 1");
        assert_eq!((raw.u16(at + 28), raw.u16(at + 30)), (0x0110, 0), "suite mask");
    }
}

#[test]
fn x86_has_the_vendor_and_others_have_the_features() {
    let processor = Some(WindowsProcessor { level: 6, revision: 0, features: [0x1234, 0x5678] });
    let raw = told(x86(), processor);
    let (at, _) = raw.stream(7);
    assert_eq!(raw.slice((at + 32, 12)), b"AuthenticAMD");
    let words: Vec<u32> = (0..3).map(|index| raw.u32(at + 44 + 4 * index)).collect();
    assert_eq!(words, [0x0083_0f10, 0x178b_fbff, 0x2fd3_fbff]);
    for cpu in [amd64(), Cpu::Arm64] {
        assert_eq!(union(&told(cpu, processor)), [0x1234, 0x5678, 0]);
    }
}

#[test]
fn what_the_system_does_not_tell_follows_from_cpuid() {
    let raw = told(amd64(), None);
    let (at, _) = raw.stream(7);
    assert_eq!((raw.u16(at + 2), raw.u16(at + 4)), (6, 0x5e03));
    // CX8, MMX, SSE, RDTSC, PAE, SSE2, NX, XSAVE, AVX.
    assert_eq!(union(&raw), [0x80_0002_174c, 0, 0]);
    let raw = told(Cpu::Arm64, None);
    let (at, _) = raw.stream(7);
    assert_eq!((raw.u16(at + 2), raw.u16(at + 4), union(&raw)), (0, 0, [0; 3]));
}

#[test]
fn readers_tell_the_processor() {
    let info = |raw: &Raw| raw.read::<MinidumpSystemInfo>().cpu_info().map(Cow::into_owned);
    assert_eq!(info(&told(x86(), None)).unwrap(), "AuthenticAMD family 23 model 49 stepping 0");
    assert_eq!(info(&told(amd64(), None)).unwrap(), "family 6 model 94 stepping 3");
    let (version, build) = told(amd64(), None).read::<MinidumpSystemInfo>().os_parts();
    assert_eq!((version.as_str(), build.as_deref()), ("10.0.19045", Some("Service Pack 1")));
}

#[test]
fn without_anything_that_only_windows_tells_it_is_windows_all_the_same() {
    let mut snapshot: Snapshot = windows(amd64(), vec![]);
    snapshot.windows = None;
    let raw = encode(&snapshot);
    let (at, _) = raw.stream(7);
    assert_eq!((raw.u32(at + 20), raw.bytes[at + 7]), (2, 0));
    assert_eq!(raw.string(raw.u32(at + 24) as usize), "", "no service pack is no service pack");
}
