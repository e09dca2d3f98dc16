use super::build::{amd64, windows, with, x86};
use crate::build::encode;
use minidump::MinidumpMiscInfo;
use minidump_snapshot::TimeZone;

fn zone() -> TimeZone {
    TimeZone {
        id: 2,
        bias: -60,
        standard_name: "W. Europe Standard Time".into(),
        standard_date: [0, 10, 0, 5, 3, 0, 0, 0],
        standard_bias: 0,
        daylight_name: "W. Europe Daylight Time".into(),
        daylight_date: [0, 3, 0, 5, 2, 0, 0, 1],
        daylight_bias: -60,
    }
}

#[test]
fn process_and_system_are_told_up_to_the_fifth_version() {
    let mut snapshot = with(windows(amd64(), vec![]), |facts| {
        facts.integrity_level = Some(0x3000);
        facts.execute_flags = Some(0x4d);
        facts.time_zone = Some(zone());
    });
    snapshot.process.start_time_us = Some(1_700_000_000_000_000);
    snapshot.process.user_time_us = Some(2_500_000);
    snapshot.process.kernel_time_us = Some(1_000_000);
    let raw = encode(&snapshot);
    let (at, size) = raw.stream(15);
    assert_eq!((size, raw.u32(at), raw.u32(at + 4)), (1364, 1364, 0x177));
    let words: Vec<u32> = (2..15).map(|index| raw.u32(at + 4 * index)).collect();
    assert_eq!(words, [4000, 1_700_000_000, 2, 1, 3600, 0, 0, 0, 0, 0x3000, 0x4d, 0, 2]);
    let zone = at + 60;
    let biases =
        [0, 4 + 64 + 16, 4 + 64 + 16 + 4 + 64 + 16].map(|offset| raw.u32(zone + offset).cast_signed());
    assert_eq!(biases, [-60, 0, -60]);
    let date =
        |offset: usize| -> Vec<u16> { (0..8).map(|index| raw.u16(zone + offset + 2 * index)).collect() };
    assert_eq!(date(4 + 64), [0, 10, 0, 5, 3, 0, 0, 0]);
    assert_eq!(date(4 + 64 + 16 + 4 + 64), [0, 3, 0, 5, 2, 0, 0, 1]);
    let misc = raw.read::<MinidumpMiscInfo>();
    assert_eq!(misc.raw.process_integrity_level(), Some(&0x3000));
    assert_eq!(misc.raw.process_execute_flags(), Some(&0x4d));
    let name = misc.raw.time_zone().unwrap().daylight_name;
    assert!(String::from_utf16_lossy(&name).starts_with("W. Europe Daylight Time\0"));
}

#[test]
fn the_flags_claim_only_what_is_known() {
    let raw = encode(&windows(amd64(), vec![]));
    assert_eq!(raw.u32(raw.stream(15).0 + 4), 0x105, "id, clock, build");
    let misc = raw.read::<MinidumpMiscInfo>();
    assert!(misc.raw.time_zone().is_none() && misc.raw.process_integrity_level().is_none());
}

#[test]
fn the_shape_of_xsave_areas_is_told_of_x86_too() {
    for (cpu, components, size) in [(x86(), 0b111, 832), (amd64(), 0b10_0000_0111, 2696)] {
        let misc = encode(&windows(cpu, vec![])).read::<MinidumpMiscInfo>();
        let xstate = misc.raw.xstate_data().unwrap();
        assert_eq!((xstate.enabled_features, xstate.context_size), (components, size));
        assert_eq!((xstate.features[2].offset, xstate.features[2].size), (576, 256));
    }
}
