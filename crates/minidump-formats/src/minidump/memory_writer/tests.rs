use super::*;
use crate::minidump::context::ContextKind;

#[test]
fn values_are_appended_little_endian_and_tell_where_they_lie() {
    let mut writer = MemoryWriter::default();
    writer.write(0x0102_u16).unwrap();
    let location = writer.write(0x0304_0506_u32).unwrap();
    assert_eq!((location.rva, location.data_size), (2, 4));
    let location = writer.write_bytes(b"xyz").unwrap();
    assert_eq!((location.rva, location.data_size), (6, 3));
    assert_eq!(writer.bytes(), [2, 1, 6, 5, 4, 3, b'x', b'y', b'z']);
}

#[test]
fn reserved_structures_are_filled_in_any_order_and_never_behind_their_end() {
    let mut writer = MemoryWriter::default();
    writer.write(0xff_u8).unwrap();
    let array = writer.reserve_array::<u16>(2).unwrap();
    writer.write(0xee_u8).unwrap();
    writer.fill(&array, 1, 0x0201_u16).unwrap();
    writer.fill(&array, 0, 0x0403_u16).unwrap();
    assert!(matches!(writer.fill(&array, 2, 0_u16), Err(FormatError::Count { count: 2 })));
    assert!(matches!(writer.fill(&array, usize::MAX, 0_u16), Err(FormatError::Count { .. })));
    assert_eq!(writer.bytes(), [0xff, 3, 4, 1, 2, 0xee]);
}

#[test]
fn strings_are_aligned_utf16_with_their_length_in_bytes_and_a_terminator() {
    let mut writer = MemoryWriter::default();
    writer.write(1_u8).unwrap();
    assert_eq!(writer.write_string(b"a\xffb").unwrap(), 4);
    let expected = [1, 0, 0, 0, 6, 0, 0, 0, b'a', 0, 0xfd, 0xff, b'b', 0, 0, 0];
    assert_eq!(writer.bytes(), expected);
}

#[test]
fn an_empty_string_is_a_length_and_a_terminator() {
    let mut writer = MemoryWriter::default();
    assert_eq!(writer.write_string(b"").unwrap(), 0);
    assert_eq!(writer.bytes(), [0; 6]);
}

#[test]
fn offsets_beyond_32_bits_are_errors_and_never_wrap() {
    let last = u64::from(u32::MAX);
    assert!(location(last, 0).is_ok());
    assert!(location(last - 1, 1).is_ok());
    for (offset, size) in [(last, 1), (last + 1, 0), (0, last + 1), (u64::MAX, 1), (1 << 32 | 8, 4)] {
        let error = location(offset, size).unwrap_err();
        assert!(matches!(error, FormatError::OutOfReach { offset: o, size: s } if o == offset && s == size));
    }
}

#[test]
fn a_reservation_beyond_the_format_is_refused_before_memory_is_taken() {
    let mut writer = MemoryWriter::default();
    assert!(matches!(writer.reserve_array::<u64>(usize::MAX), Err(FormatError::Count { .. })));
    assert!(matches!(writer.reserve_array::<u64>(1 << 30), Err(FormatError::OutOfReach { .. })));
    assert_eq!(writer.position(), 0);
}

#[test]
fn references_to_memory_are_resolved_or_stay_zero() {
    let mut writer = MemoryWriter::default();
    let array = writer.reserve_array::<MINIDUMP_LOCATION_DESCRIPTOR>(3).unwrap();
    writer.refer_to_memory((&array, 0, 0), 0x1000, 0x10).unwrap();
    writer.refer_to_memory((&array, 1, 0), 0x2000, 0x10).unwrap();
    writer.refer_to_memory((&array, 2, 0), 0x3000, 0x10).unwrap();
    let places = |address, _| match address {
        0x1000 => Some(0x40),
        0x2000 => Some(u64::from(u32::MAX)),
        _ => None,
    };
    writer.resolve_memory(places).unwrap();
    let mut expected = vec![0x10, 0, 0, 0, 0x40, 0, 0, 0];
    expected.resize(24, 0);
    assert_eq!(writer.bytes(), expected);
}

#[test]
fn a_section_that_failed_leaves_nothing_behind() {
    let mut writer = MemoryWriter::default();
    writer.write(7_u8).unwrap();
    let start = writer.mark();
    let array = writer.reserve_array::<MINIDUMP_LOCATION_DESCRIPTOR>(1).unwrap();
    writer.refer_to_memory((&array, 0, 0), 0x1000, 0x10).unwrap();
    writer.defer(8, Deferred::Contexts(ContextKind::Amd64)).unwrap();
    writer.rewind(start);
    writer.resolve_memory(|_, _| Some(0)).unwrap();
    assert_eq!(writer.into_parts(), (vec![7], vec![]));
}

#[test]
fn a_buffer_that_must_grow_does_not_double() {
    let mut writer = MemoryWriter::with_capacity(1 << 20);
    writer.write_bytes(&vec![1; 1 << 20]).unwrap();
    writer.write(1_u8).unwrap();
    assert!(writer.data.capacity() <= (1 << 20) + (1 << 17), "{}", writer.data.capacity());
}

#[test]
fn what_is_deferred_takes_room_in_the_file_and_none_in_the_buffer() {
    let mut writer = MemoryWriter::default();
    let array = writer.reserve_array::<u32>(1).unwrap();
    let location = writer.defer(0x1001, Deferred::Contexts(ContextKind::Amd64)).unwrap();
    assert_eq!((location.rva, location.data_size), (4, 0x1001));
    assert_eq!(writer.write_string(b"a").unwrap(), 0x1008);
    let behind = writer.reserve_array::<u16>(1).unwrap();
    writer.fill(&behind, 0, 0x0605_u16).unwrap();
    writer.fill(&array, 0, 0x0403_0201_u32).unwrap();
    assert_eq!(writer.position(), 0x1012);
    assert_eq!(writer.write(7_u8).unwrap().rva, 0x1012);
    let last = u64::from(u32::MAX);
    assert!(matches!(
        writer.defer(last, Deferred::Regions),
        Err(FormatError::OutOfReach { offset: 0x1013, .. })
    ));
    let gap = Gap { index: 4, size: 0x1001, contents: Deferred::Contexts(ContextKind::Amd64) };
    let bytes = vec![1, 2, 3, 4, 0, 0, 0, 2, 0, 0, 0, b'a', 0, 0, 0, 5, 6, 7];
    assert_eq!(writer.into_parts(), (bytes, vec![gap]));
}
