use super::super::test_elf::TestElf;
use super::*;
use proptest::prelude::*;

fn segments(file: &[u8]) -> Segments {
    let header = Header::parse(file).expect("a valid header");
    Segments::parse(&file[64..64 + header.table_size()], header.class)
}

#[test]
fn the_header_of_a_shared_object_is_read() {
    let header = Header::parse(&TestElf::default().file()).expect("valid");
    let expected = Header {
        class: Class::Elf64,
        program_headers: 64,
        program_header_count: 6,
        section_headers: 0x3000,
        section_header_count: 4,
        section_names: 3,
    };
    assert_eq!(header, expected);
    assert_eq!(header.table_size(), 6 * 56);
}

#[test]
fn headers_of_other_files_are_refused() {
    let valid = TestElf::default().file();
    // (offset, byte): magic, class, byte order, version, type core, size of a program header, their number.
    let changes = [(0, 0), (1, b'e'), (4, 3), (5, 2), (6, 0), (16, 4), (16, 1), (54, 57), (56, 0), (57, 1)];
    for (at, byte) in changes {
        let mut file = valid.clone();
        file[at] = byte;
        assert_eq!(Header::parse(&file), None, "byte {at}");
    }
    for size in 0..HEADER_SIZE {
        assert_eq!(Header::parse(&valid[..size]), None, "{size} bytes");
    }
    assert!(Header::parse(&valid[..HEADER_SIZE]).is_some());
}

#[test]
fn section_headers_of_another_size_are_not_used() {
    let mut file = TestElf::default().file();
    file[58] = 65;
    assert_eq!(Header::parse(&file).map(|header| header.section_header_count), Some(0));
}

#[test]
fn the_32_bit_layout_is_read() {
    let mut bytes = vec![0u8; 52 + 32];
    bytes[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    bytes[16] = 2;
    bytes[28] = 52;
    bytes[32..34].copy_from_slice(&[0, 0x20]);
    bytes[42..52].copy_from_slice(&[32, 0, 1, 0, 40, 0, 7, 0, 6, 0]);
    let load = [1u32, 0x1000, 0x804_9000, 0x804_9000, 0x20, 0x2000, 5, 0x1000];
    bytes.splice(52.., load.iter().flat_map(|word| word.to_le_bytes()));
    let header = Header::parse(&bytes).expect("valid");
    let expected = Header {
        class: Class::Elf32,
        program_headers: 52,
        program_header_count: 1,
        section_headers: 0x2000,
        section_header_count: 7,
        section_names: 6,
    };
    assert_eq!(header, expected);
    let segments = Segments::parse(&bytes[52..], Class::Elf32);
    let expected =
        Load { offset: 0x1000, address: 0x804_9000, file_size: 0x20, memory_size: 0x2000, executable: true };
    assert_eq!(segments.loads, [expected]);
    assert_eq!(segments.span(), Some((0x804_9000, 0x804_b000)));
}

#[test]
fn segments_tell_span_offsets_and_addresses() {
    let segments = segments(&TestElf::default().file());
    assert_eq!(segments.loads.len(), 3);
    assert_eq!(segments.loads.iter().map(|load| load.executable).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(segments.span(), Some((0, 0x6000)));
    assert_eq!(segments.table, Some(64));
    assert_eq!(segments.notes, [Span { offset: 0x400, address: 0x400, size: 36, align: 4 }]);
    assert_eq!(segments.dynamic, Some(Span { offset: 0x2000, address: 0x4000, size: 0x60, align: 8 }));
    assert_eq!(segments.pages_of_offset(0x2345).collect::<Vec<_>>(), [0x4000]);
    assert_eq!(segments.pages_of_offset(0x3000).count(), 0);
    assert_eq!(segments.offset_of_address(0x4010), Some((0x2010, 0x2f0)));
    assert_eq!(segments.offset_of_address(0x4300), None);
    assert_eq!(segments.address_of_offset(0x2010), Some((0x4010, 0x2f0)));
    assert_eq!(segments.address_of_offset(0x2300), None);
    assert!(segments.places(0x1000, 0x1000));
    assert!(segments.places(0x4000, 0x2000));
    assert!(!segments.places(0x4000, 0x4000));
    assert!(!segments.places(0x2000, 0x2000));
}

#[test]
fn segments_that_run_over_the_end_of_memory_are_left_out() {
    let valid = TestElf::default().file();
    for (at, word) in [(16, u64::MAX), (40, u64::MAX), (40, u64::MAX - 0xffe), (8, u64::MAX)] {
        let mut file = valid.clone();
        let second = 64 + 56;
        file[second + at..second + at + 8].copy_from_slice(&word.to_le_bytes());
        let loads = segments(&file).loads;
        let addresses: Vec<_> = loads.iter().map(|load| load.address).collect();
        assert_eq!(addresses, [0x1000, 0x4000], "{word:#x} at {at}");
    }
}

#[test]
fn pages_are_rounded_without_overflow() {
    assert_eq!(page_floor(0x1fff), 0x1000);
    assert_eq!(page_ceil(0x1001), Some(0x2000));
    assert_eq!(page_ceil(0x1000), Some(0x1000));
    assert_eq!(page_ceil(u64::MAX), None);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300), word in any::<u64>()) {
        let _ = Header::parse(&bytes);
        for class in [Class::Elf32, Class::Elf64] {
            let segments = Segments::parse(&bytes, class);
            let _ = segments.pages_of_offset(word).count();
            let _ = segments.places(word, word);
            let _ = segments.offset_of_address(word);
            let _ = segments.address_of_offset(word);
            if let Some((low, high)) = segments.span() {
                prop_assert!(low < high && low % PAGE_SIZE == 0 && high % PAGE_SIZE == 0);
            }
        }
    }

    #[test]
    fn mutated_images_are_survived(changes in proptest::collection::vec((0usize..400, any::<u8>()), 1..6)) {
        let mut file = TestElf::default().file();
        for (at, byte) in changes {
            file[at] = byte;
        }
        if let Some(header) = Header::parse(&file) {
            prop_assert!(header.table_size() <= MAX_TABLE_SIZE);
            let segments = Segments::parse(&file[64..64 + header.table_size()], header.class);
            let _ = segments.span();
        }
    }
}
