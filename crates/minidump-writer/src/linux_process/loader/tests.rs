use super::super::maps;
use super::super::modules::test_elf::{Counting, ProcessMemory, TestElf};
use super::*;
use minidump_snapshot::BufferSource;
use proptest::prelude::*;

const BASE: u64 = 0x5555_5555_0000;
const DEBUG: u64 = 0x7f00_0000_0000;
const LIST: u64 = 0x7f00_0001_0000;
const NAMES: u64 = 0x7f00_0002_0000;
const STEP: u64 = 0x1000;

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A program whose loader lists `names`; `next` gives the address behind entry number n.
fn world(names: &[&[u8]], next: impl Fn(u64) -> u64) -> (Auxv, BufferSource) {
    let mut memory = BufferSource::new();
    TestElf { debug: DEBUG, ..TestElf::default() }.load(&mut memory, BASE);
    let first = if names.is_empty() { 0 } else { LIST };
    assert!(memory.insert(DEBUG, words(&[1, first, 0xb4b4, 0, 0xbace])));
    for (index, name) in (0u64..).zip(names) {
        let name_at = NAMES + index * STEP * 2;
        let entry = [0x1000 * index, name_at, 0xd000 + index, next(index), 0];
        assert!(memory.insert(LIST + index * STEP, words(&entry)));
        assert!(memory.insert(name_at, name.to_vec()));
    }
    let auxv = Auxv { phdr: Some(BASE + 64), phent: Some(56), phnum: Some(6), ..Auxv::default() };
    (auxv, memory)
}

/// `next` of a list of `count` entries that ends properly.
fn proper(count: u64) -> impl Fn(u64) -> u64 {
    move |index| if index + 1 < count { LIST + (index + 1) * STEP } else { 0 }
}

fn read_world((auxv, memory): &(Auxv, BufferSource)) -> (Option<DsoDebug>, Vec<SoftError>) {
    let mut errors = Vec::new();
    let dso_debug = read(auxv, memory, &mut errors);
    (dso_debug, errors)
}

#[test]
fn the_list_is_read_with_its_names() {
    let long = [[b'n'; 300].as_slice(), b"\0"].concat();
    let world = world(&[b"\0", b"/lib/libc.so.6\0rest", &long], proper(3));
    let (dso_debug, errors) = read_world(&world);
    assert_eq!(errors, []);
    let dso_debug = dso_debug.expect("found");
    assert_eq!((dso_debug.address, dso_debug.version, dso_debug.map), (DEBUG, 1, LIST));
    assert_eq!((dso_debug.brk, dso_debug.ldbase, dso_debug.dynamic), (0xb4b4, 0xbace, BASE + 0x4000));
    assert_eq!(dso_debug.dynamic_contents.len(), 0x60);
    assert_eq!(Dynamic::parse(&dso_debug.dynamic_contents, Class::Elf64).debug, Some(DEBUG));
    let expected = LinkMap {
        address: LIST + STEP,
        base: 0x1000,
        name_address: NAMES + 2 * STEP,
        name: b"/lib/libc.so.6".to_vec(),
        dynamic: 0xd001,
    };
    assert_eq!(dso_debug.link_maps[1], expected);
    assert_eq!(dso_debug.link_maps[0].name, b"");
    assert_eq!(dso_debug.link_maps[2].name, [b'n'; 300]);
}

#[test]
fn a_circular_list_is_kept_up_to_the_cycle() {
    let world = world(&[b"a\0", b"b\0", b"c\0"], |index| LIST + (index + 1) % 3 * STEP);
    let (dso_debug, errors) = read_world(&world);
    let names: Vec<_> = dso_debug.expect("found").link_maps.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, [b"a", b"b", b"c"]);
    assert_eq!(errors.len(), 1);
    assert_eq!(
        errors[0].to_string(),
        format!("the loader's list leads back into itself after 3 entries, address {LIST:#x}, 40 bytes")
    );
}

#[test]
fn a_corrupt_pointer_ends_the_list() {
    for bad in [0xdead_beef, u64::MAX, 8, NAMES] {
        let world = world(&[b"a\0", b"b\0"], |index| if index == 0 { LIST + STEP } else { bad });
        let (dso_debug, errors) = read_world(&world);
        assert_eq!(dso_debug.expect("found").link_maps.len(), 2);
        assert!(errors[0].message.contains("unreadable memory after 2 entries"), "{errors:?}");
        assert_eq!(errors[0].address, Some(bad));
    }
}

#[test]
fn an_endless_list_is_followed_to_the_bound() {
    let (auxv, mut memory) = world(&[], |_| 0);
    let count = MAX_ENTRIES as u64 + 10;
    let entry = |index: u64| words(&[index, 0, 0, 0x1_0000_0000 + (index + 1) * 40, 0]);
    assert!(memory.insert(0x1_0000_0000, (0..count).flat_map(entry).collect()));
    let mut errors = Vec::new();
    let mut dso_debug = read(&auxv, &memory, &mut errors).expect("found");
    assert_eq!((dso_debug.link_maps.len(), errors.len()), (0, 0));
    dso_debug.map = 0x1_0000_0000;
    walk(&mut dso_debug, &memory, &mut errors);
    assert_eq!(dso_debug.link_maps.len(), MAX_ENTRIES);
    assert_eq!(dso_debug.link_maps[4095].base, 4095);
    assert!(errors[0].message.contains("4096 entries only"), "{errors:?}");
}

#[test]
fn names_without_an_end_are_cut_and_reported() {
    let endless = vec![b'x'; 5000];
    let world = world(&[b"good\0", b"cut off", &endless], proper(3));
    let (dso_debug, errors) = read_world(&world);
    let names: Vec<_> = dso_debug.expect("found").link_maps.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, [b"good".to_vec(), b"cut off".to_vec(), vec![b'x'; MAX_NAME]]);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].message, "2 names in the loader's list are unreadable or have no end");
}

#[test]
fn programs_without_a_loader_have_no_list_and_no_error() {
    // DT_DEBUG not filled in yet.
    let mut memory = BufferSource::new();
    TestElf::default().load(&mut memory, BASE);
    let (auxv, _) = world(&[], |_| 0);
    assert_eq!(read_world(&(auxv, memory)), (None, vec![]));
    // No dynamic section.
    let mut file = TestElf::default().file();
    file[64 + 4 * 56] = 0;
    let mut memory = BufferSource::new();
    super::super::modules::test_elf::load_file(&file, &mut memory, BASE);
    assert_eq!(read_world(&(auxv, memory)), (None, vec![]));
    // No auxiliary vector.
    assert_eq!(read_world(&(Auxv::default(), BufferSource::new())), (None, vec![]));
}

#[test]
fn the_load_bias_is_found_without_the_header_that_tells_it() {
    let mut file = TestElf { debug: DEBUG, relocated_by: BASE, ..TestElf::default() }.file();
    file[64] = 0;
    let mut memory = BufferSource::new();
    super::super::modules::test_elf::load_file(&file, &mut memory, BASE);
    assert!(memory.insert(DEBUG, words(&[1, 0, 0xb4b4, 0, 0xbace])));
    let (auxv, _) = world(&[], |_| 0);
    let (dso_debug, errors) = read_world(&(auxv, memory));
    assert_eq!((dso_debug.expect("found").dynamic, errors.len()), (BASE + 0x4000, 0));
}

#[test]
fn broken_ways_to_the_list_are_soft_errors() {
    let (auxv, memory) = world(&[b"a\0"], |_| 0);
    let cases = [
        (Auxv { phdr: Some(0x10), ..auxv }, "program headers of the main executable"),
        (Auxv { phnum: Some(u64::MAX), ..auxv }, "implausible"),
        (Auxv { phent: Some(57), ..auxv }, "implausible"),
    ];
    for (auxv, expected) in cases {
        let (dso_debug, errors) = read_world(&(auxv, memory.clone()));
        assert_eq!(dso_debug, None);
        assert!(errors[0].message.contains(expected), "{errors:?}");
        assert_eq!(errors[0].stage, Stage::Loader);
    }
    let mut memory = BufferSource::new();
    TestElf { debug: 0x66, ..TestElf::default() }.load(&mut memory, BASE);
    let (dso_debug, errors) = read_world(&(auxv, memory));
    assert_eq!(dso_debug, None);
    assert!(errors[0].message.contains("r_debug"), "{errors:?}");
}

#[test]
fn an_unchanged_list_is_confirmed_in_one_batch() {
    let world = world(&[b"\0", b"/lib/libc.so.6\0"], proper(2));
    let dso_debug = read_world(&world).0.expect("found");
    let counting = Counting::new(&world.1);
    assert_eq!(revalidate(dso_debug.clone(), &counting), Some(dso_debug));
    assert_eq!((counting.batches.get(), counting.reads.get()), (1, 0));
}

#[test]
fn every_change_of_the_list_is_noticed() {
    let names: [&[u8]; 2] = [b"\0", b"/lib/libc.so.6\0"];
    let dso_debug = read_world(&world(&names, proper(2))).0.expect("found");
    let longer = world(&[b"\0", b"/lib/libc.so.6\0", b"c\0"], proper(3)).1;
    let renamed = world(&[b"\0", b"/lib/libc.so.7\0"], proper(2)).1;
    let extended = world(&[b"\0", b"/lib/libc.so.6x\0"], proper(2)).1;
    let cut = world(&names, |_| 0).1;
    let emptied = world(&[], |_| 0).1;
    for memory in [longer, renamed, extended, cut, emptied, BufferSource::new()] {
        assert_eq!(revalidate(dso_debug.clone(), &memory), None);
    }
    let memory = world(&names, proper(2)).1;
    let changed = [
        DsoDebug { brk: 1, ..dso_debug.clone() },
        DsoDebug { ldbase: 1, ..dso_debug.clone() },
        DsoDebug { version: 2, ..dso_debug.clone() },
        DsoDebug { dynamic_contents: vec![1; 0x60], ..dso_debug },
    ];
    for old in changed {
        assert_eq!(revalidate(old, &memory), None);
    }
}

#[test]
fn a_list_that_did_not_end_properly_is_never_confirmed() {
    let world = world(&[b"a\0", b"b\0"], |index| LIST + (index + 1) % 2 * STEP);
    let dso_debug = read_world(&world).0.expect("found");
    assert_eq!(revalidate(dso_debug, &world.1), None);
}

#[test]
fn the_own_list_names_files_that_are_mapped() {
    let auxv = Auxv::parse(&std::fs::read("/proc/self/auxv").expect("readable"));
    let memory = ProcessMemory::open(std::process::id().cast_signed());
    let mut errors = Vec::new();
    let dso_debug = read(&auxv, &memory, &mut errors).expect("the test is linked dynamically");
    assert_eq!(errors, []);
    assert_eq!(dso_debug.ldbase, auxv.base.expect("there is a loader"));
    let text = std::fs::read("/proc/self/maps").expect("readable");
    let mut mappings = Vec::new();
    maps::parse(&text, &mut mappings);
    for entry in &dso_debug.link_maps {
        assert!(maps::index_of(&mappings, entry.dynamic).is_some(), "{entry:?}");
    }
    assert!(dso_debug.link_maps.iter().any(|entry| entry.name.windows(5).any(|part| part == b"libc.")));
    assert_eq!(revalidate(dso_debug.clone(), &memory), Some(dso_debug));
}

proptest! {
    #[test]
    fn mutated_structures_are_survived(
        program in proptest::collection::vec((64usize..64 + 6 * 56, any::<u8>()), 0..4),
        debug in proptest::collection::vec((0usize..40, any::<u8>()), 0..3),
        entry in proptest::collection::vec((0usize..40, any::<u8>()), 0..3),
        count in any::<u16>(),
    ) {
        let mut file = TestElf { debug: DEBUG, ..TestElf::default() }.file();
        let mut structure = words(&[1, LIST, 0xb4b4, 0, 0xbace]);
        let mut first = words(&[0, NAMES, 0, 0, 0]);
        for (bytes, changes) in [(&mut file, program), (&mut structure, debug), (&mut first, entry)] {
            for (at, byte) in changes {
                bytes[at] = byte;
            }
        }
        let mut memory = BufferSource::new();
        super::super::modules::test_elf::load_file(&file, &mut memory, BASE);
        prop_assert!(memory.insert(DEBUG, structure));
        prop_assert!(memory.insert(LIST, first));
        prop_assert!(memory.insert(NAMES, b"name\0".to_vec()));
        let phnum = Some(u64::from(count % 200));
        let auxv = Auxv { phdr: Some(BASE + 64), phent: Some(56), phnum, ..Auxv::default() };
        let (dso_debug, _) = read_world(&(auxv, memory.clone()));
        if let Some(dso_debug) = dso_debug {
            prop_assert!(dso_debug.link_maps.len() <= MAX_ENTRIES);
            let _ = revalidate(dso_debug, &memory);
        }
    }

    #[test]
    fn random_memory_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2000), at in any::<u64>()) {
        let mut memory = BufferSource::new();
        let start = at & !0xfff;
        if memory.insert(start, bytes) {
            let auxv = Auxv { phdr: Some(start), phent: Some(56), phnum: Some(9), ..Auxv::default() };
            let _ = read_world(&(auxv, memory));
        }
    }
}
