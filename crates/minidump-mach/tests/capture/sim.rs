//! The simulation itself.

use crate::fixture::*;
use minidump_mach::sim::{Call, SimArch, SimError, SimRegion, SimTask, SyntheticImage};
use minidump_mach::{MachTask, TaskFlavor};
use minidump_snapshot::Protection;

/// A universal file of the two images.
fn universal(first: (SimArch, &[u8]), second: (SimArch, &[u8])) -> Vec<u8> {
    let mut file = Vec::new();
    let mut offset = 0x1000_u32;
    file.extend(0xcafe_babe_u32.to_be_bytes());
    file.extend(2_u32.to_be_bytes());
    for (arch, image) in [first, second] {
        let size = u32::try_from(image.len()).unwrap();
        for word in [arch.cpu_type(), arch.cpu_subtype(), offset, size, 12] {
            file.extend(word.to_be_bytes());
        }
        offset += size.next_multiple_of(0x1000);
    }
    for (_, image) in [first, second] {
        file.resize(file.len().next_multiple_of(0x1000), 0);
        file.extend(image);
    }
    file
}

#[test]
fn of_a_universal_file_the_image_for_the_task_is_loaded() {
    let arm = SyntheticImage::executable(EXE_PATH).uuid([1; 16]).build(SimArch::Arm64);
    let amd = SyntheticImage::executable(EXE_PATH).uuid([2; 16]).build(SimArch::Amd64);
    let file = universal((SimArch::Amd64, &amd), (SimArch::Arm64, &arm));
    for (arch, uuid) in [(SimArch::Arm64, 1), (SimArch::Amd64, 2)] {
        let task = SimTask::builder(arch).module_bytes(&file, EXE_PATH, EXE).build().unwrap();
        let captured = captured(&task);
        assert_module(&captured, EXE, EXE_PATH, Some(uuid));
    }
}

#[test]
fn a_file_on_disk_is_loaded() {
    let directory = std::env::temp_dir().join(format!("sim-{}", std::process::id()));
    std::fs::write(&directory, lib().build(SimArch::Arm64)).unwrap();
    let task = SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .module_installed_at(&directory, LIB_PATH, LIB)
        .build()
        .unwrap();
    std::fs::remove_file(&directory).unwrap();
    assert_module(&captured(&task), LIB, LIB_PATH, Some(0x11));
}

#[test]
fn what_cannot_be_built_is_told() {
    let builder = || SimTask::builder(SimArch::Arm64).image(&exe(), EXE);
    assert!(matches!(builder().module("/no/such/file", LIB).build(), Err(SimError::File(_))));
    assert!(matches!(builder().module_bytes(b"no image", "/x", LIB).build(), Err(SimError::MachO(_))));
    assert!(matches!(builder().image(&lib(), EXE).build(), Err(SimError::Occupied { start: EXE, .. })));
    assert!(matches!(builder().word(LIB, 1).build(), Err(SimError::Unmapped { address: LIB })));
    let amd = SyntheticImage::library("/x").build(SimArch::Amd64);
    let only_amd = universal((SimArch::Amd64, &amd), (SimArch::Amd64, &amd));
    assert!(matches!(builder().module_bytes(&only_amd, "/x", LIB).build(), Err(SimError::NoImage { .. })));
}

#[test]
fn segments_lie_at_their_slide_with_their_protection_and_contents() {
    let task = task();
    assert_eq!(task.peek(EXE + 0x2000, 4).unwrap(), [0xe1; 4]);
    assert_eq!(task.peek(EXE + 0x4000, 64).unwrap(), [0xdd; 64]);
    assert_eq!(task.peek(EXE + 0x4040, 64).unwrap(), [0; 64], "beyond the file's bytes");
    let (mut address, mut size, mut depth, mut words) = (EXE + 0x4000, 0, 0, [0; 19]);
    assert_eq!(task.region(&mut address, &mut size, &mut depth, &mut words), Ok(19));
    assert_eq!((address, size, words[0], words[5]), (EXE + 0x4000, 0x4000, 3, 33));
}

#[test]
fn the_kernel_gives_a_range_as_a_whole_or_not_at_all() {
    let task = builder().region(0x7_0000_0000, 0x4000, SimRegion::data(1)).build().unwrap();
    let mut buffer = [1; 16];
    assert_eq!(task.read(0x7_0000_3ff8, &mut buffer), Err(minidump_mach::KernReturn::INVALID_ADDRESS));
    task.protect(0x7_0000_0000, 0x7_0000_4000, Protection::WRITE);
    assert_eq!(task.read(0x7_0000_0000, &mut buffer), Err(minidump_mach::KernReturn::PROTECTION_FAILURE));
    assert_eq!(task.calls(Call::Read), 2);
}

#[test]
fn dyld_info_is_packed_to_four_bytes() {
    let task = task();
    let mut words = [0; 5];
    assert_eq!(task.task_info(TaskFlavor::Dyld, &mut words), Ok(5));
    assert_eq!(u64::from(words[0]) | u64::from(words[1]) << 32, task.all_image_infos());
    assert_eq!(words[2..], [368, 0, 1]);
}
