//! The small notes, byte for byte.

use crate::build::{empty, encode, image, module};
use minidump_snapshot::{ModuleId, OperatingSystem, Snapshot};

fn contents(snapshot: &Snapshot, owner: &str) -> Option<Vec<u8>> {
    encode(snapshot).note(owner).map(|note| note.contents.clone())
}

#[test]
fn the_bits_of_an_address_are_told_in_version_3() {
    let mut snapshot = empty();
    assert_eq!(contents(&snapshot, "addrable bits"), None);
    snapshot.apple.as_mut().unwrap().address_bits = Some(47);
    let expected = [3, 0, 0, 0, 47, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(contents(&snapshot, "addrable bits").unwrap(), expected);
}

fn with_main(os: OperatingSystem) -> Snapshot {
    let mut snapshot = empty();
    snapshot.system.os = os;
    snapshot.modules = vec![module(0x1_0000_0000, b"/lib", 1), module(0x2_0000_4000, b"/main", 2)];
    snapshot.modules[1].is_main = true;
    snapshot.apple.as_mut().unwrap().images = vec![image(0x2_0000_4000, 0x1_0000_4000, vec![])];
    snapshot
}

/// Version 2, type 0, then address, slide, UUID, logarithm of the page size, platform.
fn main_binary(address: u64, slide: u64, platform: u32) -> Vec<u8> {
    let mut expected = vec![2, 0, 0, 0, 0, 0, 0, 0];
    expected.extend(address.to_le_bytes());
    expected.extend(slide.to_le_bytes());
    expected.extend([2; 16]);
    expected.extend([14, 0, 0, 0]);
    expected.extend(platform.to_le_bytes());
    expected
}

#[test]
fn the_main_executable_is_told_by_slide_and_uuid() {
    for (os, platform) in
        [(OperatingSystem::MacOs, 1), (OperatingSystem::Ios, 2), (OperatingSystem::Linux, 0)]
    {
        let found = contents(&with_main(os), "main bin spec").unwrap();
        assert_eq!(found, main_binary(u64::MAX, 0x1_0000_4000, platform));
    }
}

#[test]
fn a_main_executable_of_unknown_slide_is_told_by_its_address() {
    let mut snapshot = with_main(OperatingSystem::MacOs);
    snapshot.apple.as_mut().unwrap().images.clear();
    let found = contents(&snapshot, "main bin spec").unwrap();
    assert_eq!(found, main_binary(0x2_0000_4000, u64::MAX, 1));
}

#[test]
fn a_main_executable_without_uuid_has_no_note() {
    let mut snapshot = with_main(OperatingSystem::MacOs);
    snapshot.modules[1].id = Some(ModuleId::BuildId(vec![2; 16]));
    assert_eq!(contents(&snapshot, "main bin spec"), None);
    snapshot.modules[1].id = None;
    assert_eq!(contents(&snapshot, "main bin spec"), None);
}
