use super::test_pe::{DEBUG, NT, RECORD, RESOURCES, TestPe};
use super::world::messages;
use super::*;

const NTDLL: u64 = MODULES[1].1;

/// What became of ntdll in `world`.
fn ntdll(world: &World) -> (Module, PeImage, Vec<SoftError>) {
    let (facts, errors) = world.examine();
    let at = facts.modules.iter().position(|module| module.base == NTDLL).expect("listed");
    (facts.modules[at].clone(), facts.images[at].clone(), errors)
}

fn pe(pointer_size: PointerSize) -> TestPe {
    TestPe::new(pointer_size, time_stamp(1))
}

/// A world with the file of ntdll.
fn with_file(pointer_size: PointerSize) -> World {
    let mut world = World::new(pointer_size);
    world.files.files.insert(MODULES[1].0.to_owned(), pe(pointer_size).file());
    world
}

#[test]
fn overwritten_and_unreadable_headers_are_taken_from_the_file() {
    for pointer_size in BOTH {
        let whole = ntdll(&World::new(pointer_size));
        let mut world = with_file(pointer_size);
        for (at, bytes) in [(0, b"XX".as_slice()), (60, &[0xff; 4]), (NT, b"XX"), (NT + 24, &[0; 2])] {
            let mut world = with_file(pointer_size);
            world.set(NTDLL + at as u64, bytes);
            let (module, image, errors) = ntdll(&world);
            assert_eq!((module, image), (whole.0.clone(), whole.1.clone()), "{at}");
            assert_eq!(messages(&errors), ["ntdll.dll: its headers are overwritten; its file's are taken"]);
            assert_eq!((errors[0].address, errors[0].size), (Some(NTDLL), Some(SIZE as u64)));
        }
        world.pieces.remove(&NTDLL);
        let (module, image, errors) = ntdll(&world);
        assert_eq!((module, image), (whole.0, whole.1));
        assert_eq!(messages(&errors), ["ntdll.dll: its headers cannot be read; its file's are taken"]);
    }
}

#[test]
fn without_headers_and_file_the_list_and_the_memory_map_tell_what_they_can() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        world.set(NTDLL, b"XX");
        let (module, image, errors) = ntdll(&world);
        assert_eq!((module.size, module.path.as_slice()), (SIZE as u64, MODULES[1].0.as_bytes()));
        assert_eq!((module.id, module.version), (None, None));
        let expected = PeImage { base: NTDLL, time_stamp: time_stamp(1), ..PeImage::default() };
        assert_eq!(image, expected, "the list has the time stamp");
        let expected =
            "ntdll.dll: its headers are overwritten, and its file cannot be read: entity not found";
        assert_eq!(messages(&errors), [expected]);
    }
}

#[test]
fn a_file_of_another_size_is_not_believed() {
    let mut world = with_file(PointerSize::Eight);
    world.set(NTDLL, b"XX");
    let file = world.files.files.get_mut(MODULES[1].0).expect("inserted");
    test_pe::put(file, NT + 24 + 56, &0x9000_u32.to_le_bytes());
    let (module, _, errors) = ntdll(&world);
    assert_eq!(module.id, None);
    assert_eq!(
        messages(&errors),
        ["ntdll.dll: its headers are overwritten, and its file is another one now"]
    );
    world.files.files.insert(MODULES[1].0.to_owned(), b"a text, not an image".repeat(9));
    let errors = ntdll(&world).2;
    assert!(errors[0].message.ends_with("its file is not an image"), "{errors:?}");
}

#[test]
fn paged_out_parts_are_taken_from_the_same_file_only() {
    for pointer_size in BOTH {
        let whole = ntdll(&World::new(pointer_size));
        let mut world = with_file(pointer_size);
        world.pieces.get_mut(&NTDLL).expect("mapped").truncate(DEBUG);
        let (module, image, errors) = ntdll(&world);
        assert_eq!((module, image), (whole.0, whole.1));
        assert_eq!(errors, []);
        let other = TestPe { time_stamp: 1, ..pe(pointer_size) };
        world.files.files.insert(MODULES[1].0.to_owned(), other.file());
        let (module, image, errors) = ntdll(&world);
        assert_eq!((module.id, module.version, image.version_info), (None, None, None));
        assert_eq!(image.time_stamp, time_stamp(1), "memory's headers count");
        let expected = [
            "ntdll.dll: its file is another one now",
            "ntdll.dll: its debug directory cannot be read",
            "ntdll.dll: its version cannot be read",
        ];
        assert_eq!(messages(&errors), expected);
    }
}

#[test]
fn the_file_is_the_one_that_the_memory_map_names() {
    let mut world = World::new(PointerSize::Eight);
    world.set(NTDLL, b"XX");
    let truth = r"\Device\HarddiskVolume1\Windows\System32\ntdll.dll";
    world.regions.iter_mut().find(|region| region.start == NTDLL).expect("there").name = truth.into();
    world.files.files.insert(truth.to_owned(), pe(PointerSize::Eight).file());
    let (module, _, _) = ntdll(&world);
    assert_eq!(module.id, Some(ModuleId::Pdb { guid: GUID, age: AGE }));
    assert_eq!(module.path, MODULES[1].0.as_bytes(), "known by the loader's name");
}

#[test]
fn no_file_of_another_machine_is_opened() {
    let mut world = World::new(PointerSize::Eight);
    world.set(NTDLL, b"XX");
    world.regions.iter_mut().find(|region| region.start == NTDLL).expect("there").name =
        br"\\server\share\ntdll.dll".to_vec();
    let errors = ntdll(&world).2;
    assert!(errors[0].message.ends_with("its file may lie on another machine"), "{errors:?}");
    assert!(world.files.asked.borrow().is_empty());
}

#[test]
fn unlisted_images_are_found_with_and_without_headers() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        let path = r"C:\hidden\hook.dll";
        world.map_image(path, 0x3000_0000, &TestPe::new(pointer_size, 0x1234));
        let (facts, errors) = world.examine();
        assert_eq!(errors, []);
        let expected = Module {
            id: Some(ModuleId::Pdb { guid: GUID, age: AGE }),
            ..expected_module((3, path, 0x3000_0000))
        };
        assert_eq!(facts.modules[1], expected);
        assert_eq!(facts.images[1].time_stamp, 0x1234);
        world.set(0x3000_0000, b"XX");
        let (facts, errors) = world.examine();
        assert_eq!(facts.modules[1], Module { id: None, version: None, ..expected });
        assert_eq!(errors.len(), 1);
        // Nothing tells what this one is.
        world.regions.retain(|region| region.start != 0x3000_0000);
        let (facts, errors) = world.examine();
        assert_eq!(facts.modules.len(), 3);
        assert!(errors[1].message.contains("not listed as a module"), "{errors:?}");
    }
}

#[test]
fn files_that_are_mapped_as_data_are_no_modules() {
    let mut world = World::new(PointerSize::Eight);
    world.map_image(r"C:\data.dll", 0x3000_0000, &pe(PointerSize::Eight));
    for region in world.address_space.iter_mut().filter(|region| region.allocation_base == 0x3000_0000) {
        region.kind = 0x4_0000;
    }
    assert_eq!(world.examine().0.modules.len(), 3);
}

#[test]
fn a_size_that_the_memory_map_denies_is_corrected() {
    let mut world = World::new(PointerSize::Eight);
    world.set(NTDLL + (NT + 24 + 56) as u64, &0x7000_0000_u32.to_le_bytes());
    let (module, _, errors) = ntdll(&world);
    assert_eq!(module.size, SIZE as u64);
    assert_eq!(messages(&errors), ["ntdll.dll: its headers tell 1879048192 bytes, 12288 are mapped"]);
}

#[test]
fn an_old_record_is_kept_and_has_no_id() {
    let record = [b"NB10".as_slice(), &[0; 4], &[1, 2, 3, 4], &[5, 0, 0, 0], b"a.pdb\0"].concat();
    let mut world = World::new(PointerSize::Four);
    let pe = TestPe { record: record.clone(), ..pe(PointerSize::Four) };
    world.pieces.insert(NTDLL, pe.memory());
    let (module, image, errors) = ntdll(&world);
    assert_eq!((module.id, image.code_view), (None, record));
    assert_eq!(errors, []);
}

#[test]
fn images_without_debug_directory_or_version_are_whole() {
    for pointer_size in BOTH {
        let directories = NT + 24 + if pointer_size == PointerSize::Four { 96 } else { 112 };
        let mut world = World::new(pointer_size);
        world.set(NTDLL + directories as u64 + 16, &[0; 8]);
        world.set(NTDLL + directories as u64 + 48, &[0; 8]);
        let (module, image, errors) = ntdll(&world);
        assert_eq!((module.id, module.version, image.code_view), (None, None, vec![]));
        assert_eq!(errors, []);
        // Fewer directories than that one's number.
        let mut world = World::new(pointer_size);
        world.set(NTDLL + directories as u64 - 4, &3_u32.to_le_bytes());
        let (module, _, errors) = ntdll(&world);
        assert_eq!((module.id, module.version.map(|version| version.build)), (None, Some(4)));
        assert_eq!(errors, []);
    }
}

#[test]
fn broken_directories_are_soft_errors() {
    let broken: [(usize, &[u8], &str); 7] = [
        (DEBUG + 28 + 16, &[0xff; 4], "debug directory"),
        (DEBUG + 28 + 20, &[0xff; 4], "debug directory"),
        (RECORD, b"XXXX", "debug directory"),
        (RESOURCES + 28, &[0xff; 4], "version"),
        (RESOURCES + 0x20 + 20, &[0; 4], "version"),
        (RESOURCES + 0x60, &[0xff; 4], "version"),
        (RESOURCES + 0x80 + 40, &[0; 4], "version"),
    ];
    for (at, bytes, what) in broken {
        let mut world = World::new(PointerSize::Eight);
        world.set(NTDLL + at as u64, bytes);
        let errors = ntdll(&world).2;
        let expected = format!("ntdll.dll: its {what} cannot be read");
        assert_eq!(messages(&errors)[1..], [expected.as_str()], "{at:#x}");
    }
}

#[test]
fn a_tree_of_resources_that_leads_in_circles_ends() {
    let mut world = World::new(PointerSize::Eight);
    world.set(NTDLL + (RESOURCES + 28) as u64, &0x8000_0000_u32.to_le_bytes());
    let (module, _, _) = ntdll(&world);
    assert_eq!(module.version, None);
}
