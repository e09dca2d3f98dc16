//! Nothing that a target can write makes the module reader panic or break its promises.

use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn mutated_images_are_survived(
        changes in proptest::collection::vec((prop_oneof![0usize..0x480, 0x2000usize..0x2060], any::<u8>()), 1..8),
        entry in any::<Option<u64>>(),
        listed in any::<(u64, u64)>(),
    ) {
        let mut file = TestElf::default().file();
        for (at, byte) in changes {
            file[at] = byte;
        }
        let mapped = MappedFile::nowhere(b"/lib/libx.so", 7);
        let mut world = World { text: mapped.lines(BASE), ..World::default() };
        world.text.extend(MappedFile::nowhere(b"/lib/liby.so", 8).lines(BASE + 0x8000));
        load_file(&file, &mut world.memory, BASE);
        TestElf::default().load(&mut world.memory, BASE + 0x8000);
        world.auxv = Auxv { entry, phdr: entry, ..Auxv::default() };
        world.loader = Some(link_map(listed.0, listed.1));
        let (modules, _) = world.read();
        assert_sorted(&modules);
        let other = modules.iter().find(|module| module.path == b"/lib/liby.so");
        prop_assert_eq!(other.map(|module| (module.base, module.size)), Some((BASE + 0x8000, IMAGE_SIZE)));
        prop_assert_eq!(modules.len(), 2);
    }

    #[test]
    fn random_headers_are_survived(table in proptest::collection::vec(any::<u8>(), 6 * 56), data in any::<[u8; 0x60]>()) {
        let mut file = TestElf::default().file();
        file[64..64 + 6 * 56].copy_from_slice(&table);
        // Known types, so that the rest of the table matters.
        for (index, kind) in [1u8, 1, 1, 2, 4, 6].into_iter().enumerate() {
            file[64 + index * 56..68 + index * 56].copy_from_slice(&[kind, 0, 0, 0]);
        }
        file[0x2000..0x2060].copy_from_slice(&data);
        let mut world = World { text: MappedFile::nowhere(b"/lib/libx.so", 7).lines(BASE), ..World::default() };
        load_file(&file, &mut world.memory, BASE);
        assert_sorted(&world.read().0);
    }

    #[test]
    fn random_memory_maps_are_survived(
        lines in proptest::collection::vec((0..4u64, 1..4u64, 0..8u8, 0..5u64, 0..3u64), 0..40),
    ) {
        let mut world = World::default();
        let mut address = BASE;
        for (gap, size, rights, offset, inode) in lines {
            let start = address + gap * 0x1000;
            address = start + size * 0x1000;
            let letter = |bit: u8, letter: char| if rights & bit == 0 { '-' } else { letter };
            let rights = format!("{}{}{}p", letter(1, 'r'), letter(2, 'w'), letter(4, 'x'));
            let path = [b"/lib/liba.so".as_slice(), b"/lib/libb.so", b""][usize::try_from(inode).expect("small")];
            let inode = if path.is_empty() { 0 } else { inode + 1 };
            let device = if path.is_empty() { (0, 0) } else { (0xffe, 0xffffe) };
            let file = MappedFile { path, device, inode, origin: 0 };
            world.text.extend(file.line(start, address, &rights, offset * 0x1000));
            let mut bytes = TestElf::default().file();
            bytes.resize(usize::try_from(size * 0x1000).expect("small").min(0x3000), 0);
            assert!(world.memory.insert(start, bytes));
        }
        assert_sorted(&world.read().0);
    }
}
