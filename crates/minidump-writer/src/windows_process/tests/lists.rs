use super::world::{ENTRIES, messages};
use super::*;

fn paths(facts: &LoaderFacts) -> Vec<&str> {
    facts.modules.iter().map(|module| std::str::from_utf8(&module.path).expect("text")).collect()
}

#[test]
fn a_circular_list_is_reported_and_no_module_lost() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        world.set_pointer(World::entry(2, 0), World::entry(1, 0));
        let (facts, errors) = world.examine();
        assert_eq!(facts.modules, by_address().map(expected_module));
        assert_eq!(messages(&errors), ["a list of the loader leads back into itself after 3 entries"]);
        assert_eq!(errors[0].address, Some(World::entry(1, 0)));
        assert_eq!(errors[0].stage, Stage::Loader);
    }
}

#[test]
fn where_a_list_is_broken_another_one_leads_on() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        // Without the memory map the lists are all there is.
        world.address_space.clear();
        for bad in [0x66_u64, u64::MAX, 0] {
            world.set_pointer(World::entry(0, 0), bad);
            let (facts, errors) = world.examine();
            assert_eq!(facts.modules, by_address().map(expected_module), "{bad:#x}");
            let expected = "a list of the loader leads to unreadable memory after 1 entries";
            assert_eq!(messages(&errors), [expected]);
        }
    }
}

#[test]
fn where_all_lists_are_broken_the_memory_map_shows_the_modules() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        for head in world.layout().loader.lists {
            world.set_pointer(LOADER + head as u64, 0xdead_0000);
        }
        let (facts, errors) = world.examine();
        assert_eq!(facts.modules, by_address().map(expected_module));
        assert_eq!(errors.len(), 3);
        world.pieces.remove(&LOADER);
        let (facts, errors) = world.examine();
        assert_eq!(facts.modules, by_address().map(expected_module));
        assert_eq!(messages(&errors), ["the loader's data cannot be read"]);
    }
}

#[test]
fn a_process_whose_loader_has_not_run_has_the_modules_of_the_memory_map() {
    let mut world = World::new(PointerSize::Eight);
    let field = world.layout().peb.loader;
    world.set_pointer(PEB + field as u64, 0);
    let (facts, errors) = world.examine();
    assert_eq!(facts.modules, by_address().map(expected_module));
    assert_eq!(errors, []);
}

#[test]
fn an_endless_list_is_followed_to_the_bound() {
    let mut world = World::new(PointerSize::Eight);
    world.address_space.clear();
    let entries = 5000_u64;
    let mut bytes = vec![0; 0x100 * 5001];
    for index in 0..entries {
        let at = usize::try_from(index * 0x100).expect("small");
        let next = 0x1_0000_0000 + (index + 1) * 0x100;
        test_pe::put(&mut bytes, at, &next.to_le_bytes());
        let entry = &world.layout().entry;
        test_pe::put(&mut bytes, at + entry.base, &(0x10_0000_0000 + index * 0x1_0000).to_le_bytes());
        test_pe::put(&mut bytes, at + entry.image_size, &0x1000_u32.to_le_bytes());
    }
    world.pieces.insert(0x1_0000_0000, bytes);
    for head in world.layout().loader.lists {
        world.set_pointer(LOADER + head as u64, 0x1_0000_0000);
    }
    let (facts, errors) = world.examine();
    assert!(errors[0].message.contains("followed for 4096 entries only"), "{errors:?}");
    assert_eq!(facts.modules.len(), 4096);
    assert_eq!((facts.modules[4095].base, facts.modules[4095].size), (0x10_0fff_0000, 0x1000));
    assert_eq!(errors.len(), 257, "not one for each image");
    assert!(errors[256].message.contains("more errors"), "{:?}", errors[256]);
}

#[test]
fn broken_names_are_counted_and_the_memory_map_has_better_ones() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        let field = world.layout().entry.full_name;
        let odd = world.string(MODULES[0].0.len() * 2 - 1, NAMES);
        world.set(World::entry(0, field), &odd);
        let endless = world.string(0xfffe, NAMES + NAME_STEP);
        world.set(World::entry(1, field), &endless);
        let dangling = world.string(10, 0x66);
        world.set(World::entry(2, field), &dangling);
        let (facts, errors) = world.examine();
        let expected = [r"C:\program\main.ex", r"kernel32.dll", MODULES[1].0];
        assert_eq!(paths(&facts), expected);
        let expected = [
            "2 names in the loader's lists cannot be read to their end",
            "1 names in the loader's lists have half a character at their end",
        ];
        assert_eq!(messages(&errors), expected);
    }
}

#[test]
fn a_module_without_a_name_has_that_of_its_file() {
    let mut world = World::new(PointerSize::Eight);
    let entry = &world.layout().entry;
    for field in [entry.full_name, entry.base_name] {
        world.set(World::entry(1, field), &[0; 16]);
    }
    let (facts, errors) = world.examine();
    assert_eq!(paths(&facts)[2], MODULES[1].0);
    assert_eq!(errors, []);
}

#[test]
fn entries_of_unmapped_modules_are_left_out() {
    for pointer_size in BOTH {
        let mut world = World::new(pointer_size);
        let field = world.layout().entry.base;
        world.set_pointer(World::entry(1, field), 0x6666_0000);
        world.set_pointer(World::entry(2, field), 0);
        let (facts, errors) = world.examine();
        assert_eq!(facts.modules, by_address().map(expected_module), "the memory map shows them");
        let expected = [
            r#"the loader lists "C:\\Windows\\System32\\ntdll.dll" where no memory is mapped"#,
            r#"the loader lists "C:\\Windows\\System32\\kernel32.dll" without an address"#,
        ];
        assert_eq!(messages(&errors), expected);
        assert_eq!((errors[0].address, errors[0].size), (Some(0x6666_0000), Some(SIZE as u64)));
    }
}

#[test]
fn an_entry_in_the_midst_of_an_image_does_not_hide_that() {
    let mut world = World::new(PointerSize::Eight);
    let field = world.layout().entry.base;
    world.set_pointer(World::entry(2, field), MODULES[1].1 + 0x1000);
    let (facts, errors) = world.examine();
    assert_eq!(facts.modules, by_address().map(expected_module));
    let expected = r#"the loader lists "C:\\Windows\\System32\\kernel32.dll" in the midst of an image"#;
    assert_eq!(messages(&errors), [expected]);
}

#[test]
fn an_entry_that_is_listed_twice_is_one_module_and_an_overlapping_one_is_cut() {
    let mut world = World::new(PointerSize::Eight);
    world.address_space.clear();
    let field = world.layout().entry.base;
    world.set_pointer(World::entry(2, field), MODULES[1].1);
    let (facts, _) = world.examine();
    assert_eq!(paths(&facts), [MODULES[0].0, MODULES[1].0]);
    // An image in the middle of another.
    world.set_pointer(World::entry(2, field), MODULES[1].1 + 0x1000);
    let (facts, _) = world.examine();
    let spans: Vec<_> = facts.modules.iter().map(|module| (module.base, module.size)).collect();
    let size = SIZE as u64;
    let expected = [(MODULES[0].1, size), (MODULES[1].1, 0x1000), (MODULES[1].1 + 0x1000, size)];
    assert_eq!(spans, expected);
}

#[test]
fn the_first_of_the_list_is_the_main_executable_where_the_block_tells_none() {
    for (told, main) in [(0, 0), (0x6666_0000, 0), (MODULES[1].1, 2)] {
        let mut world = World::new(PointerSize::Eight);
        let field = world.layout().peb.image_base;
        world.set_pointer(PEB + field as u64, told);
        let (facts, _) = world.examine();
        let marked: Vec<_> = facts.modules.iter().map(|module| module.is_main).collect();
        assert_eq!(marked, [main == 0, false, main == 2]);
    }
    assert_eq!(ENTRIES, World::entry(0, 0));
}
