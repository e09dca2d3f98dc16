//! What can go wrong with dyld's structures.

use crate::fixture::*;
use minidump_mach::sim::{Call, Effect, SimArch, SimTask, SyntheticImage, When};
use minidump_mach::{CaptureOptions, KernReturn};
use minidump_snapshot::{OperatingSystem, Protection, Stage};

/// Sets eight bytes of `dyld_all_image_infos`.
fn set(task: &SimTask, offset: u64, value: u64) {
    assert_eq!(task.poke(task.all_image_infos() + offset, &value.to_le_bytes()), 8);
}

fn get(task: &SimTask, address: u64) -> u64 {
    u64::from_le_bytes(task.peek(address, 8).unwrap().try_into().unwrap())
}

/// Address of an entry of the list.
fn entry(task: &SimTask, index: u64) -> u64 {
    get(task, task.all_image_infos() + 8) + 24 * index
}

/// What is found by looking at the start of every region: paths are those that the images know of themselves.
fn assert_found_in_memory(captured: &minidump_mach::Captured<'_>) {
    assert_threads(captured);
    assert_module(captured, EXE, "", Some(0xe0));
    assert_module(captured, LIB, LIB_PATH, Some(0x11));
    assert_module(captured, BUNDLE, "", Some(0xb0));
    assert_module(captured, KERNEL_LIB, KERNEL_PATH, Some(0x4e));
    assert_module(captured, DYLD, "/usr/lib/dyld", Some(0xd1));
    assert!(module(captured, EXE).is_main);
    assert_error(captured, Stage::Loader, "searched for in memory");
}

#[test]
fn while_dyld_changes_its_list_images_are_found_in_memory() {
    let task = task();
    set(&task, 8, 0);
    let captured = captured(&task);
    assert_found_in_memory(&captured);
    assert_error(&captured, Stage::Loader, "dyld was changing its list");
    assert_eq!(task.calls(Call::Suspend), 3, "the task was let go to finish, for a moment");
    assert_eq!(task.calls(Call::Resume), 3);
}

#[test]
fn the_caller_can_name_an_executable_that_dyld_does_not() {
    let task = task();
    set(&task, 8, 0);
    let options = CaptureOptions { executable: Some(EXE_PATH.into()), ..CaptureOptions::default() };
    let captured = captured_with(&task, &options, None);
    assert_module(&captured, EXE, EXE_PATH, Some(0xe0));
    assert_eq!(captured.snapshot.process.executable.as_deref(), Some(EXE_PATH.as_bytes()));
}

#[test]
fn an_empty_list_is_none() {
    let task = task();
    task.poke(task.all_image_infos() + 4, &0_u32.to_le_bytes());
    assert_found_in_memory(&captured(&task));
}

#[test]
fn a_list_that_is_not_mapped_is_none() {
    let task = task();
    set(&task, 8, 0x6666_0000_0000);
    let captured = captured(&task);
    assert_found_in_memory(&captured);
    assert_error(
        &captured,
        Stage::Loader,
        "of dyld's list of 5 images only 0 can be read: KERN_INVALID_ADDRESS",
    );
}

#[test]
fn a_huge_count_is_bounded_and_entries_that_are_there_are_taken() {
    let task = task();
    task.poke(task.all_image_infos() + 4, &u32::MAX.to_le_bytes());
    let captured = captured(&task);
    assert_threads(&captured);
    assert_module(&captured, EXE, EXE_PATH, Some(0xe0));
    assert_module(&captured, C_LIB, C_PATH, Some(0xcc));
    assert_error(&captured, Stage::Loader, "dyld's list has 4294967295 images; the first 16384 were taken");
    assert_error(&captured, Stage::Loader, "of dyld's list of 16384 images only");
}

#[test]
fn every_version_and_size_of_the_structure_is_understood() {
    // Version, size, and whether there are dyld's address, dyld's message, the shared cache, and the platform.
    let cases = [
        (1, 32, [false; 4]),
        (2, 40, [true, false, false, false]),
        (9, 112, [true, true, false, false]),
        (14, 176, [true, true, false, false]),
        (15, 232, [true, true, true, false]),
        (17, 328, [true, true, true, true]),
        (18, 368, [true, true, true, true]),
        (99, 4096, [true, true, true, true]),
    ];
    for (version, size, [dyld, message, cache, platform]) in cases {
        let exe = exe().platform(None);
        let task = SimTask::builder(SimArch::Arm64)
            .shared_cache(CACHE, CACHE_SIZE)
            .image(&exe, EXE)
            .dyld_error("gone")
            .dyld_version(version, size)
            .stack(MAIN_STACK.0, MAIN_STACK.1)
            .thread(main_thread())
            .build()
            .unwrap();
        // PLATFORM_IOS, which tells it from no platform.
        task.poke(task.all_image_infos() + 320, &2_u32.to_le_bytes());
        let captured = captured(&task);
        let facts = captured.snapshot.apple.as_ref().unwrap();
        assert_eq!(facts.dyld_version, Some(version));
        assert_eq!(facts.image_at(DYLD).is_some(), dyld, "version {version}");
        assert_eq!(facts.dyld_error.is_some(), message, "version {version}");
        assert_eq!(facts.shared_cache, cache.then_some(CACHE), "version {version}");
        assert_eq!(captured.snapshot.system.os == OperatingSystem::Ios, platform, "version {version}");
        assert_module(&captured, EXE, EXE_PATH, Some(0xe0));
    }
}

#[test]
fn a_structure_that_is_shorter_than_its_version_says_is_read_as_far_as_it_goes() {
    let task = builder().dyld_version(18, 100).build().unwrap();
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(captured.snapshot.apple.as_ref().unwrap().shared_cache, None);
}

#[test]
fn a_structure_that_ends_at_an_unmapped_page_is_read_up_to_there() {
    let task = task();
    // Moved to the end of a region, with 200 bytes of it mapped.
    let infos = task.peek(task.all_image_infos(), 368).unwrap();
    let place = EXE + 0x8000 - 200;
    task.poke(place, &infos[..200]);
    task.set_all_image_infos(place, 368);
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(captured.snapshot.apple.as_ref().unwrap().dyld_all_image_infos, Some(place));
}

#[test]
fn a_structure_of_version_0_is_not_set_up() {
    let task = task();
    task.poke(task.all_image_infos(), &0_u32.to_le_bytes());
    let captured = captured(&task);
    assert_found_in_memory(&captured);
    assert_error(&captured, Stage::Loader, "version 0");
}

#[test]
fn what_the_kernel_does_not_tell_is_found_in_memory() {
    for effect in [Effect::Fail(KernReturn::FAILURE), Effect::Short(3)] {
        let task = task();
        task.inject(Call::TaskInfo, When::Flavor(17), effect);
        let captured = captured(&task);
        assert_found_in_memory(&captured);
        assert_error(&captured, Stage::Loader, "the kernel does not tell where dyld's structures are");
        assert_eq!(captured.snapshot.apple.as_ref().unwrap().dyld_all_image_infos, None);
    }
}

#[test]
fn an_address_that_is_not_mapped_or_too_small_is_no_structure() {
    for (address, size, words) in [
        (0, 368, "has no dyld"),
        (0x6666_0000_0000, 368, "cannot be read: KERN_INVALID_ADDRESS"),
        (EXE, 8, "are 8 bytes, which is too few"),
        (u64::MAX - 7, u64::MAX, "cannot be read"),
    ] {
        let task = task();
        task.set_all_image_infos(address, size);
        let captured = captured(&task);
        assert_found_in_memory(&captured);
        assert_error(&captured, Stage::Loader, words);
    }
}

#[test]
fn the_executable_may_come_first_or_last() {
    for order in [[EXE, LIB], [LIB, EXE]] {
        let mut builder = SimTask::builder(SimArch::Arm64);
        for base in order {
            builder = builder.image(&if base == EXE { exe() } else { lib() }, base);
        }
        let task = builder.stack(MAIN_STACK.0, MAIN_STACK.1).thread(main_thread()).build().unwrap();
        let captured = captured(&task);
        assert!(module(&captured, EXE).is_main && !module(&captured, LIB).is_main);
    }
}

#[test]
fn an_executable_that_is_not_listed_is_found_in_memory() {
    let task = SimTask::builder(SimArch::Arm64)
        .image(&lib(), LIB)
        .map_image(&exe().build(SimArch::Arm64), EXE)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .thread(main_thread())
        .build()
        .unwrap();
    let captured = captured(&task);
    assert!(module(&captured, EXE).is_main);
    assert_module(&captured, EXE, "", Some(0xe0));
    assert_eq!(only_error(&captured).message, "dyld's list has no executable; one was found in memory");
}

#[test]
fn a_task_without_executable_has_none() {
    let bundle = SyntheticImage::bundle(BUNDLE_PATH);
    let task = SimTask::builder(SimArch::Arm64)
        .image(&bundle, BUNDLE)
        .image(&lib(), LIB)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .thread(main_thread())
        .build()
        .unwrap();
    let captured = captured(&task);
    assert!(captured.snapshot.modules.iter().all(|module| !module.is_main), "a bundle is no executable");
    assert_eq!(only_error(&captured).message, "no main executable was found");
    assert_eq!(captured.snapshot.process.executable, None);
    assert_registers(&captured.snapshot.threads[0], &main_cpu());
}

#[test]
fn of_two_executables_the_first_is_the_programs() {
    let other = SyntheticImage::executable("/other").text(0, 0x4000).uuid([2; 16]);
    let task = SimTask::builder(SimArch::Arm64)
        .image(&exe(), EXE)
        .map_image(&lib().build(SimArch::Arm64), LIB)
        .module_bytes(&other.build(SimArch::Arm64), "/other", 0x1_1000_0000)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .thread(main_thread());
    let task = task.build().unwrap();
    let captured = captured(&task);
    assert!(module(&captured, EXE).is_main && !module(&captured, 0x1_1000_0000).is_main);
    assert_error(&captured, Stage::Loader, "more than one executable");
}

#[test]
fn an_image_that_is_listed_twice_is_taken_once() {
    let task = builder().list("/other/name.dylib", LIB).build().unwrap();
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(only_error(&captured).message, "dyld's list names 1 images twice");
}

#[test]
fn dyld_in_its_own_list_is_taken_once() {
    let task = builder().list("/usr/lib/dyld", DYLD).build().unwrap();
    let captured = captured(&task);
    assert_usable(&captured);
    assert_eq!(captured.snapshot.soft_errors, []);
}

#[test]
fn dyld_without_a_path_has_the_one_of_every_system() {
    let task = task();
    set(&task, 192, 0);
    assert_module(&captured(&task), DYLD, "/usr/lib/dyld", Some(0xd1));
}

#[test]
fn without_dyld_the_rest_is_there() {
    let task = task();
    set(&task, 32, 0);
    let captured = captured(&task);
    assert_threads(&captured);
    assert_eq!(captured.snapshot.modules.len(), 5);
    assert_eq!(captured.snapshot.soft_errors, []);
}

#[test]
fn a_path_without_end_is_cut_off() {
    let task = task();
    let region = (0x7_0000_0000, 0x4000);
    let path = region.0 + region.1 - 10;
    let other = builder().region(region.0, region.1, minidump_mach::sim::SimRegion::data(1)).build().unwrap();
    assert_eq!(other.poke(path, &[b'p'; 10]), 10);
    other.poke(entry(&other, 1) + 8, &path.to_le_bytes());
    let captured = captured(&other);
    assert_module(&captured, LIB, "pppppppppp", Some(0x11));
    assert_eq!(only_error(&captured).message, "the path of an image has no end");
    drop(task);
}

#[test]
fn a_path_that_goes_on_and_on_is_cut_at_four_kib() {
    let other =
        builder().region(0x7_0000_0000, 0x4000, minidump_mach::sim::SimRegion::data(1)).build().unwrap();
    other.poke(0x7_0000_0000, &[b'/'; 0x4000]);
    other.poke(entry(&other, 1) + 8, &0x7_0000_0010_u64.to_le_bytes());
    let captured = captured(&other);
    assert_eq!(module(&captured, LIB).path.len(), 4096);
    assert_error(&captured, Stage::Loader, "has no end");
}

#[test]
fn a_path_that_is_not_mapped_is_replaced_by_what_the_image_says() {
    let task = task();
    task.poke(entry(&task, 1) + 8, &0x6666_0000_0000_u64.to_le_bytes());
    let captured = captured(&task);
    assert_usable(&captured);
    assert!(only_error(&captured).message.contains("the path of an image cannot be read"));
    assert_eq!(only_error(&captured).address, Some(LIB));
}

#[test]
fn a_path_that_is_no_text_stays_as_it_is() {
    let task = SimTask::builder(SimArch::Arm64)
        .module_bytes(&exe().build(SimArch::Arm64), EXE_PATH, EXE)
        .map_image(&lib().build(SimArch::Arm64), LIB)
        .list([0xff, 0xfe, b'/', 0x80], LIB)
        .stack(MAIN_STACK.0, MAIN_STACK.1)
        .thread(main_thread())
        .build()
        .unwrap();
    let captured = captured(&task);
    assert_eq!(module(&captured, LIB).path, [0xff, 0xfe, b'/', 0x80]);
    assert_eq!(captured.snapshot.soft_errors, []);
}

#[test]
fn an_entry_without_address_is_passed_over() {
    let task = task();
    task.poke(entry(&task, 0), &0_u64.to_le_bytes());
    let captured = captured(&task);
    assert_threads(&captured);
    assert_eq!(captured.snapshot.modules.len(), 5);
}

#[test]
fn a_list_that_is_readable_only_in_part_gives_that_part() {
    let mut builder = builder();
    for index in 0..400 {
        builder = builder.list("/none", 0x9_0000_0000 + index * 0x1000);
    }
    let task = builder.build().unwrap();
    let second_page = entry(&task, 0).next_multiple_of(0x1000);
    task.protect(second_page, second_page + 0x1000, Protection::empty());
    let captured = captured(&task);
    assert_module(&captured, EXE, EXE_PATH, Some(0xe0));
    assert_error(&captured, Stage::Loader, "of dyld's list of 405 images only");
}

#[test]
fn a_list_that_changes_before_the_task_stands_still_is_read_again() {
    let late = SyntheticImage::library("/late.dylib").uuid([0x1a; 16]).build(SimArch::Arm64);
    let task = builder().map_image(&late, 0x1_2000_0000).build().unwrap();
    let infos = task.all_image_infos();
    let path = infos + 0x3f00;
    task.poke(path, b"/late.dylib\0");
    // What dyld does meanwhile: the first entry is another image, and the list has another age.
    let first = entry(&task, 0);
    let change = [0x1_2000_0000_u64.to_le_bytes(), path.to_le_bytes()].concat();
    task.inject(Call::Suspend, When::Nth(1), Effect::Write(first, change.try_into().unwrap()));
    let age = [0x9999_u64.to_le_bytes(), get(&task, infos + 192).to_le_bytes()].concat();
    task.inject(Call::Suspend, When::Nth(1), Effect::Write(infos + 184, age.try_into().unwrap()));
    let captured = captured(&task);
    assert_eq!(captured.snapshot.soft_errors, []);
    assert_module(&captured, 0x1_2000_0000, "/late.dylib", Some(0x1a));
    assert!(captured.snapshot.modules.iter().all(|module| module.base != BUNDLE));
    assert_threads(&captured);
}

#[test]
fn a_list_that_does_not_tell_its_age_is_read_while_the_task_stands_still() {
    let task = task();
    set(&task, 184, 0);
    assert_usable(&captured(&task));
    let without = task.calls_while_stopped(Call::Read);
    let other = crate::fixture::task();
    assert_usable(&captured(&other));
    // The list and six headers at least.
    assert!(other.calls_while_stopped(Call::Read) + 7 <= without, "{without}");
}
