mod hostile;
mod images;
mod lists;
mod parameters;
mod test_pe;
mod unloaded;
mod world;

use super::*;
use minidump_snapshot::{FileVersion, ModuleId};
use test_pe::{AGE, GUID, SIZE, rsds};
use world::{LOADER, MODULES, NAME_STEP, NAMES, PARAMETERS, PEB, TEBS, World, time_stamp};

const BOTH: [PointerSize; 2] = [PointerSize::Four, PointerSize::Eight];

/// The modules of a world in the order of their addresses.
fn by_address() -> [(usize, &'static str, u64); 3] {
    [(0, MODULES[0].0, MODULES[0].1), (2, MODULES[2].0, MODULES[2].1), (1, MODULES[1].0, MODULES[1].1)]
}

fn expected_module((index, path, base): (usize, &str, u64)) -> Module {
    Module {
        base,
        size: SIZE as u64,
        path: path.as_bytes().to_vec(),
        soname: None,
        version: Some(FileVersion { major: 1, minor: 2, patch: 3, build: 4 }),
        id: Some(ModuleId::Pdb { guid: GUID, age: AGE }),
        is_main: index == 0,
        deleted: false,
    }
}

#[test]
fn every_field_is_read_in_both_pointer_sizes() {
    for pointer_size in BOTH {
        let world = World::new(pointer_size);
        let (facts, errors) = world.examine();
        assert_eq!(errors, []);
        assert_eq!(facts.modules, by_address().map(expected_module));
        for ((index, _, base), image) in by_address().into_iter().zip(&facts.images) {
            assert_eq!((image.base, image.time_stamp), (base, time_stamp(index)));
            assert_eq!(image.check_sum, time_stamp(index) ^ 0xffff);
            assert_eq!(image.code_view, rsds(r"D:\build\a.pdb"));
            let version = image.version_info.expect("there is one");
            assert_eq!(version[..6], [0xfeef_04bd, 0x1_0000, 0x1_0002, 0x3_0004, 0x5_0006, 0x7_0008]);
        }
        assert_eq!(facts.images.len(), 3);
        assert_eq!(facts.executable.as_deref(), Some(MODULES[0].0.as_bytes()));
        assert_eq!(facts.command_line.as_deref(), Some(r#""C:\program\main.exe" --secret"#));
        assert_eq!(facts.unloaded_modules, []);
        assert!(world.files.asked.borrow().is_empty(), "memory tells everything");
    }
}

#[test]
fn the_structures_are_listed_with_the_names_and_without_the_environment() {
    for pointer_size in BOTH {
        let world = World::new(pointer_size);
        let layout = world.layout();
        let (facts, _) = world.examine();
        let has = |address: u64, size: usize| facts.structures.contains(&(address, size as u64));
        assert!(TEBS.into_iter().all(|teb| has(teb, layout.teb)));
        assert!(has(PEB, layout.peb.size));
        assert!(has(LOADER, layout.loader.size));
        assert!(has(PARAMETERS, 0x500));
        for (index, (path, _)) in MODULES.into_iter().enumerate() {
            assert!(has(World::entry(index, 0), layout.entry.size));
            assert!(has(NAMES + index as u64 * NAME_STEP, path.len() * 2));
        }
        let block = facts.environment.expect("found");
        let end = block.address + block.text.len() as u64 * 2;
        let apart = |(address, size): &(u64, u64)| address + size <= block.address || end <= *address;
        assert!(facts.structures.iter().all(apart));
    }
}

#[test]
fn a_32_bit_program_on_a_64_bit_system_has_the_modules_of_both_lists() {
    let mut world = World::new(PointerSize::Four);
    let mut native = World::new(PointerSize::Eight);
    // The 64-bit world lies elsewhere, but for the main executable, which both lists name.
    let moved = |address: u64| 0x7ff8_0000_0000 + address;
    for (address, bytes) in std::mem::take(&mut native.pieces) {
        native.pieces.insert(moved(address), bytes);
    }
    for field in [native.layout().peb.loader, native.layout().peb.parameters] {
        let at = moved(PEB) + field as u64;
        let target = if field == native.layout().peb.loader { LOADER } else { PARAMETERS };
        native.set_pointer(at, moved(target));
    }
    let (lists, entry) = (native.layout().loader.lists, &native.layout().entry);
    native.set_pointer(moved(LOADER) + lists[0] as u64, moved(World::entry(0, 0)));
    for index in 0..2 {
        let next = if index == 0 { World::entry(1, 0) } else { LOADER + lists[0] as u64 };
        native.set_pointer(moved(World::entry(index, 0)), moved(next));
        let name = NAMES + index as u64 * NAME_STEP;
        native.set_pointer(moved(World::entry(index, entry.full_name + 8)), moved(name));
    }
    native.set_pointer(moved(World::entry(1, entry.base)), moved(MODULES[1].1));
    let fields = &native.layout().parameters;
    for field in [fields.image_path + 8, fields.command_line + 8, fields.environment] {
        let at = moved(PARAMETERS) + field as u64;
        native.set_pointer(at, moved(world::ENVIRONMENT));
    }
    world.pieces.extend(native.pieces);
    world.map_image(MODULES[1].0, moved(MODULES[1].1), &test_pe::TestPe::new(PointerSize::Eight, 9));
    world.native = Some(moved(PEB));
    let (facts, errors) = world.examine();
    let found: Vec<(u64, &str)> = facts
        .modules
        .iter()
        .map(|module| (module.base, std::str::from_utf8(&module.path).unwrap()))
        .collect();
    let expected = [
        (MODULES[0].1, MODULES[0].0),
        (MODULES[2].1, MODULES[2].0),
        (MODULES[1].1, MODULES[1].0),
        (moved(MODULES[1].1), MODULES[1].0),
    ];
    assert_eq!(found, expected, "{errors:?}");
    assert_eq!(facts.images[3].time_stamp, 9);
    assert!(facts.modules[0].is_main);
    assert_eq!(facts.executable.as_deref(), Some(MODULES[0].0.as_bytes()), "the 32-bit parameters count");
    assert!(facts.structures.contains(&(moved(PEB), PointerSize::Eight.layout().peb.size as u64)));
    assert_eq!(facts.native_environment.map(|block| block.address), Some(moved(world::ENVIRONMENT)));
}
