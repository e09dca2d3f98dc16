//! What can go wrong with images.

use crate::fixture::*;
use minidump_mach::sim::{SimArch, SimTask, SyntheticImage};
use minidump_snapshot::{Protection, Stage};

/// Where the commands of the library begin, and how it is loaded.
const COMMANDS: u64 = LIB + 32;

#[test]
fn an_image_whose_header_cannot_be_read_keeps_its_path() {
    let task = task();
    task.protect(LIB, LIB + 0x4000, Protection::empty());
    let captured = captured(&task);
    assert_module(&captured, LIB, LIB_PATH, None);
    assert_module(&captured, EXE, EXE_PATH, Some(0xe0));
    assert_threads(&captured);
    let error = only_error(&captured);
    assert_eq!((error.stage, error.address), (Stage::Module, Some(LIB)));
    assert!(error.message.contains("its header cannot be read: KERN_PROTECTION_FAILURE"), "{error}");
}

#[test]
fn an_image_that_is_not_mapped_keeps_its_path() {
    let task = builder().list("/gone.dylib", 0x6666_0000_0000).build().unwrap();
    let captured = captured(&task);
    assert_module(&captured, 0x6666_0000_0000, "/gone.dylib", None);
    assert_module(&captured, C_LIB, C_PATH, Some(0xcc));
    assert!(only_error(&captured).message.contains("its header cannot be read: KERN_INVALID_ADDRESS"));
}

#[test]
fn something_else_than_an_image_is_told() {
    for magic in [0_u32, 0xfeed_face, 0xcafe_babe] {
        let task = task();
        task.poke(LIB, &magic.to_le_bytes());
        let captured = captured(&task);
        assert_module(&captured, LIB, LIB_PATH, None);
        assert!(only_error(&captured).message.contains("no 64-bit Mach-O image's"));
        assert_threads(&captured);
    }
}

#[test]
fn commands_with_an_impossible_size_end_the_walk() {
    for size in [0_u32, 1, 7, 9, 0x7f] {
        let task = task();
        // The second command, LC_UUID, behind the segment.
        task.poke(COMMANDS + 72 + 4, &size.to_le_bytes());
        let captured = captured(&task);
        assert_module(&captured, LIB, LIB_PATH, None);
        assert_eq!(module(&captured, LIB).size, 0x4000, "what came before counts");
        assert!(only_error(&captured).message.contains("impossible size"), "{size}");
        assert_threads(&captured);
    }
}

#[test]
fn a_command_that_is_longer_than_all_of_them_ends_the_walk() {
    let task = task();
    task.poke(COMMANDS + 72 + 4, &0xffff_fff8_u32.to_le_bytes());
    let captured = captured(&task);
    assert_module(&captured, LIB, LIB_PATH, None);
    assert!(only_error(&captured).message.contains("cut off"));
}

#[test]
fn more_commands_than_there_is_room_for_end_the_walk() {
    let task = task();
    task.poke(LIB + 16, &u32::MAX.to_le_bytes());
    let captured = captured(&task);
    assert_usable(&captured);
    assert!(only_error(&captured).message.contains("its load commands are cut off"));
}

#[test]
fn commands_that_are_said_to_be_huge_are_bounded() {
    let task = task();
    task.poke(LIB + 20, &u32::MAX.to_le_bytes());
    let captured = captured(&task);
    assert_usable(&captured);
    assert!(only_error(&captured).message.contains("its load commands have 4294967295 bytes"));
    let header = captured.snapshot.apple.as_ref().unwrap().image_at(LIB).unwrap().header_size;
    assert_eq!(header, 0x4000, "as far as they are mapped");
}

#[test]
fn commands_of_no_kind_in_great_number_are_bounded() {
    let command = [0x7777_u32.to_le_bytes(), 8_u32.to_le_bytes()].concat();
    let mut image = SyntheticImage::library("/many").text(0, 0x4_0000);
    image = (0..20_000).fold(image, |image, _| image.raw_command(&command));
    let task = builder().image(&image, 0x1_2000_0000).build().unwrap();
    let captured = captured(&task);
    assert!(only_error(&captured).message.contains("more than 10000 load commands"));
    assert_module(&captured, 0x1_2000_0000, "/many", None);
}

#[test]
fn an_image_without_uuid_has_no_identity() {
    let task = builder().image(&SyntheticImage::library("/none"), 0x1_2000_0000).build().unwrap();
    let captured = captured(&task);
    assert_module(&captured, 0x1_2000_0000, "/none", None);
    assert_eq!(captured.snapshot.soft_errors, []);
}

#[test]
fn a_uuid_of_zeros_is_none() {
    let image = SyntheticImage::library("/none").uuid([0; 16]);
    let task = builder().image(&image, 0x1_2000_0000).build().unwrap();
    assert_module(&captured(&task), 0x1_2000_0000, "/none", None);
}

#[test]
fn images_that_overlap_are_cut() {
    let task = task();
    // Size of `__TEXT`: it would reach over all the others.
    task.poke(COMMANDS + 32, &(1_u64 << 40).to_le_bytes());
    let captured = captured(&task);
    assert_eq!(module(&captured, LIB).size, BUNDLE - LIB);
    assert_module(&captured, LIB, LIB_PATH, Some(0x11));
    assert!(only_error(&captured).message.contains("reaches into the next one"));
    assert_threads(&captured);
}

#[test]
fn segments_at_the_end_of_the_address_space_do_not_wrap() {
    let task = task();
    task.poke(COMMANDS + 24, &u64::MAX.to_le_bytes());
    task.poke(COMMANDS + 32, &u64::MAX.to_le_bytes());
    let captured = captured(&task);
    let image = captured.snapshot.apple.as_ref().unwrap().image_at(LIB).unwrap();
    assert_eq!(
        image.segments[0].address, LIB,
        "the header is at the start of the segment, wherever it is linked"
    );
    assert!(image.segments.iter().all(|segment| segment.address.checked_add(segment.size).is_some()));
    assert_threads(&captured);
}

#[test]
fn an_image_without_text_has_no_slide() {
    let image = SyntheticImage::library("/odd").uuid([5; 16]).build(SimArch::Arm64);
    let task = builder().module_bytes(&image, "/odd", 0x1_2000_0000).build().unwrap();
    task.poke(0x1_2000_0000 + 32 + 8, b"__TEXX");
    let captured = captured(&task);
    assert_module(&captured, 0x1_2000_0000, "/odd", Some(5));
    let image = captured.snapshot.apple.as_ref().unwrap().image_at(0x1_2000_0000).unwrap();
    assert_eq!(image.slide, 0);
}

#[test]
fn a_section_count_beyond_the_command_is_bounded() {
    let task = task();
    task.poke(C_LIB + 32 + 72 + 64, &u32::MAX.to_le_bytes());
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(captured.snapshot.apple.as_ref().unwrap().crash_info.len(), 1);
}

#[test]
fn load_commands_over_several_pages_are_read() {
    let note = [vec![0x77, 0, 0, 0, 0, 4, 0, 0], vec![0; 1016]].concat();
    let mut image = SyntheticImage::library("/long").uuid([6; 16]).text(0, 0x8000);
    image = (0..7).fold(image, |image, _| image.raw_command(&note)).platform(Some(1));
    let image = image.raw_command(&[&0x1b_u32.to_le_bytes()[..], &24_u32.to_le_bytes(), &[9; 16]].concat());
    let task = builder().image(&image, 0x1_2000_0000).build().unwrap();
    let captured = captured(&task);
    assert_module(&captured, 0x1_2000_0000, "/long", Some(9));
    assert_eq!(captured.snapshot.soft_errors, []);
}

#[test]
fn crash_information_of_an_unknown_version_is_left_out() {
    let task = task();
    task.poke(C_DATA, &77_u64.to_le_bytes());
    let captured = captured(&task);
    assert!(captured.snapshot.apple.as_ref().unwrap().crash_info.is_empty());
    assert!(only_error(&captured).message.contains("unknown version 77"));
    assert_usable(&captured);
}

#[test]
fn crash_information_of_version_4_has_no_cause() {
    let task = task();
    task.poke(C_DATA, &4_u64.to_le_bytes());
    let captured = captured(&task);
    let [info] = captured.snapshot.apple.as_ref().unwrap().crash_info.as_slice() else { panic!() };
    assert_eq!((info.version, info.abort_cause, info.message.as_slice()), (4, None, &b"abort() called"[..]));
}

#[test]
fn crash_information_whose_texts_are_bad_keeps_the_others() {
    let bytes = crash_info(7, "first", "second");
    let task = SimTask::builder(SimArch::Arm64)
        .shared_cache(CACHE, CACHE_SIZE)
        .image(&exe(), EXE)
        .image(&c_lib(&bytes), C_LIB)
        .thread(main_thread())
        .build()
        .unwrap();
    task.poke(C_DATA + 8, &0x6666_0000_0000_u64.to_le_bytes());
    let captured = captured(&task);
    let [info] = captured.snapshot.apple.as_ref().unwrap().crash_info.as_slice() else { panic!() };
    assert_eq!((info.message.as_slice(), info.message2.as_slice()), (&b""[..], &b"second"[..]));
}

#[test]
fn a_crash_text_without_end_is_cut_at_four_kib() {
    let task = task();
    task.poke(C_DATA + 0x100, &[b'm'; 0x3f00]);
    let captured = captured(&task);
    assert_eq!(captured.snapshot.apple.as_ref().unwrap().crash_info[0].message.len(), 4096);
}

#[test]
fn crash_information_that_cannot_be_read_is_told() {
    let task = task();
    task.protect(C_DATA, C_DATA + 0x4000, Protection::empty());
    let captured = captured(&task);
    assert!(
        only_error(&captured).message.contains("the crash information of /usr/lib/system/libsystem_c.dylib")
    );
    assert_usable(&captured);
}

#[test]
fn a_library_that_left_nothing_has_no_crash_information() {
    let task = task();
    task.poke(C_DATA + 8, &[0; 56]);
    let captured = captured(&task);
    assert!(captured.snapshot.apple.as_ref().unwrap().crash_info.is_empty());
    assert_eq!(captured.snapshot.soft_errors, []);
}
