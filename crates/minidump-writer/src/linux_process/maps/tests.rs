use super::*;
use RegionKind::{Anonymous, Device, File, Heap, Kernel, Stack};
use proptest::prelude::*;
use std::fmt::Write as _;

fn parse_all(text: &[u8]) -> (Vec<Mapping>, usize) {
    let mut mappings = Vec::new();
    let skipped = parse(text, &mut mappings);
    (mappings, skipped)
}

const SAMPLE: &[u8] = b"\
55d0c1a00000-55d0c1a02000 r--p 00000000 fe:00 247030                     /usr/bin/cat
55d0c1a02000-55d0c1a07000 r-xp 00002000 103:1a 18446744073709551615      /opt/a b/c\\012d (deleted)
55d0c2000000-55d0c2021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000022000 rw-p 00000000 00:00 0 
7f0000030000-7f0000031000 rw-s 00000000 00:01 5                          /dev/zero (deleted)
7f0000040000-7f0000041000 ---p 00000000 00:00 0                          [anon:guard]
7f0000050000-7f0000051000 rw-s 00000000 00:01 6                          [anon_shmem:x]
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
7ffd00030000-7ffd00034000 r--p 00000000 00:00 0                          [vvar]
7ffd00034000-7ffd00036000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

#[test]
fn every_field_of_a_line_is_read() {
    let (mappings, skipped) = parse_all(SAMPLE);
    assert_eq!(skipped, 0);
    assert_eq!(mappings.len(), 11);
    let first = &mappings[0];
    assert_eq!((first.start, first.end, first.size()), (0x55d0_c1a0_0000, 0x55d0_c1a0_2000, 0x2000));
    assert_eq!((first.protection, first.shared), (Protection::READ, false));
    assert_eq!((first.offset, first.device, first.inode), (0, (0xfe, 0), 247_030));
    assert_eq!(first.name(SAMPLE), b"/usr/bin/cat");
    let second = &mappings[1];
    assert_eq!(second.protection, Protection::READ | Protection::EXECUTE);
    assert_eq!((second.offset, second.device, second.inode), (0x2000, (0x103, 0x1a), u64::MAX));
    assert_eq!(second.name(SAMPLE), b"/opt/a b/c\\012d (deleted)");
    assert_eq!(second.path(SAMPLE), b"/opt/a b/c\nd (deleted)".as_slice());
    assert_eq!(strip_deleted(&second.path(SAMPLE)), Some(b"/opt/a b/c\nd".as_slice()));
    assert_eq!(mappings[3].name(SAMPLE), b"");
    assert_eq!(mappings[4].protection, Protection::READ | Protection::WRITE);
    assert!(mappings[4].shared);
    assert_eq!(mappings[5].protection, Protection::empty());
}

#[test]
fn names_tell_what_backs_a_mapping() {
    let (mappings, _) = parse_all(SAMPLE);
    let kinds: Vec<_> = mappings.iter().map(|mapping| mapping.kind(SAMPLE)).collect();
    assert_eq!(kinds, [File, File, Heap, Anonymous, File, Anonymous, File, Stack, Kernel, Kernel, Kernel]);
}

#[test]
fn device_memory_is_told_from_memory_under_dev() {
    let lines = b"\
1000-2000 rw-s 00000000 00:06 7 /dev/mem
2000-3000 rw-s 00000000 00:06 8 /dev/dri/card0 (deleted)
3000-4000 rw-s 00000000 00:01 9 /dev/zero (deleted)
4000-5000 rw-s 00000000 00:1a 10 /dev/shm/x
";
    let (mappings, _) = parse_all(lines);
    let kinds: Vec<_> = mappings.iter().map(|mapping| mapping.kind(lines)).collect();
    assert_eq!(kinds, [Device, Device, File, File]);
}

#[test]
fn a_region_is_made_without_its_name() {
    let (mappings, _) = parse_all(SAMPLE);
    assert_eq!(mappings[1].path(SAMPLE).as_ref(), b"/opt/a b/c\nd (deleted)");
    let nameless = mappings[1].to_nameless_region(SAMPLE);
    assert_eq!(nameless.name, b"");
    assert_eq!(nameless.kind, File);
    assert_eq!((nameless.start, nameless.end, nameless.offset), (0x55d0_c1a0_2000, 0x55d0_c1a0_7000, 0x2000));
}

#[test]
fn malformed_lines_are_counted_and_skipped() {
    let text = b"\
1000-2000 r--p 0 0:0 0 /a
\n\
2000-1000 r--p 0 0:0 0 backwards
2000-2000 r--p 0 0:0 0 empty
2000-3000 r--q 0 0:0 0 sharing
2000-3000 rr-p 0 0:0 0 rights
2000-3000 r--p 0 0:0 0x inode
2000-3000 r--p 0 0:0
2000-10000000000000000 r--p 0 0:0 0 too-big
1800-3000 r--p 0 0:0 0 overlap
3000-4000 r--p 0 0:0 0
0-1000 r--p 0 0:0 0 out-of-order
4000-5000 r--p 0 0:0 0 /b
5000-6000 r--p 0 0:0 7";
    let (mappings, skipped) = parse_all(text);
    let seen: Vec<_> = mappings.iter().map(|mapping| (mapping.start, mapping.name(text))).collect();
    assert_eq!(
        seen,
        [
            (0x1000, b"/a".as_slice()),
            (0x3000, b"".as_slice()),
            (0x4000, b"/b".as_slice()),
            (0x5000, b"".as_slice())
        ]
    );
    assert_eq!(skipped, 10);
    assert_eq!(mappings[3].inode, 7);
}

#[test]
fn a_second_text_continues_the_list() {
    let mut mappings = Vec::new();
    assert_eq!(parse(b"1000-2000 r--p 0 0:0 0 /a\n", &mut mappings), 0);
    assert_eq!(parse(b"1800-2800 r--p 0 0:0 0 /b\n2000-3000 rw-p 0 0:0 0 /c\n", &mut mappings), 1);
    assert_eq!(mappings.iter().map(|mapping| mapping.start).collect::<Vec<_>>(), [0x1000, 0x2000]);
}

#[test]
fn non_utf8_names_and_trailing_blanks_are_preserved() {
    let text = b"1000-2000 r--p 0 0:0 9   /x\xff\xfe \t \n";
    let (mappings, _) = parse_all(text);
    assert_eq!(mappings[0].name(text), b"/x\xff\xfe \t ");
}

#[test]
fn ten_thousand_lines_are_read() {
    let mut text = String::new();
    for index in 0..10_000u64 {
        let start = 0x7f00_0000_0000 + index * 0x2000;
        writeln!(text, "{start:x}-{:x} r-xp {index:08x} fe:00 {index}      /lib/{index}.so", start + 0x1000)
            .expect("writes to memory");
    }
    let (mappings, skipped) = parse_all(text.as_bytes());
    assert_eq!((mappings.len(), skipped), (10_000, 0));
    assert_eq!(mappings[9_999].name(text.as_bytes()), b"/lib/9999.so");
    assert_eq!(index_of(&mappings, 0x7f00_0000_0000 + 5_000 * 0x2000 + 0xfff), Some(5_000));
    assert_eq!(index_of(&mappings, 0x7f00_0000_0000 + 5_000 * 0x2000 + 0x1000), None);
}

#[test]
fn only_the_mark_at_the_end_means_deleted() {
    assert_eq!(strip_deleted(b"/a (deleted)"), Some(b"/a".as_slice()));
    assert_eq!(strip_deleted(b"/a (deleted) "), None);
    assert_eq!(strip_deleted(b" (deleted)"), None);
}

#[cfg(target_os = "linux")]
#[test]
fn the_own_map_parses_wholly() {
    let text = std::fs::read("/proc/self/maps").expect("readable");
    let (mappings, skipped) = parse_all(&text);
    assert_eq!(skipped, 0);
    assert_eq!(mappings.len(), text.split(|byte| *byte == b'\n').count() - 1);
    let code =
        index_of(&mappings, the_own_map_parses_wholly as *const () as u64).expect("this code is mapped");
    assert!(mappings[code].protection.contains(Protection::EXECUTE));
    let executable = std::fs::read_link("/proc/self/exe").expect("readable");
    assert_eq!(mappings[code].path(&text).as_ref(), executable.as_os_str().as_encoded_bytes());
    assert!(mappings.iter().any(|mapping| mapping.kind(&text) == Stack));
}

/// What the kernel could print in a line: gap, size, rights, shared, offset, device, inode, path.
type Line = (u64, u64, u8, bool, u64, (u32, u32), u64, Vec<u8>);

fn line() -> impl Strategy<Value = Line> {
    let name = prop_oneof![
        Just(Vec::new()),
        Just(b"[heap]".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|tail| [b"/".as_slice(), &tail].concat()),
    ];
    (0..9u64, 1..9u64, 0..8u8, any::<bool>(), any::<u64>(), any::<(u32, u32)>(), any::<u64>(), name)
}

fn print(mapping: &Mapping, path: &[u8]) -> Vec<u8> {
    let letter = |flag, letter| if mapping.protection.contains(flag) { letter } else { '-' };
    let mut line = format!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
        mapping.start,
        mapping.end,
        letter(Protection::READ, 'r'),
        letter(Protection::WRITE, 'w'),
        letter(Protection::EXECUTE, 'x'),
        if mapping.shared { 's' } else { 'p' },
        mapping.offset,
        mapping.device.0,
        mapping.device.1,
        mapping.inode
    )
    .into_bytes();
    if !path.is_empty() {
        line.resize(line.len().max(73), b' ');
        for byte in path {
            if *byte == b'\n' { line.extend(ESCAPED_NEWLINE) } else { line.push(*byte) }
        }
    }
    line.push(b'\n');
    line
}

proptest! {
    #[test]
    fn any_bytes_are_survived_and_the_list_stays_sorted(text in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (mappings, skipped) = parse_all(&text);
        prop_assert!(mappings.len() + skipped <= text.len());
    }

    #[test]
    fn almost_right_bytes_are_survived_and_the_list_stays_sorted(
        text in "([0-9a-f]{1,17}-[0-9a-f]{1,17} [-r][-w][-x][ps]?( [0-9a-f:]{0,9}){0,4} {0,3}[\\[/a-z\\n]{0,9}\n?){0,9}",
    ) {
        let (mappings, _) = parse_all(text.as_bytes());
        prop_assert!(mappings.iter().all(|mapping| mapping.start < mapping.end));
        prop_assert!(mappings.windows(2).all(|pair| pair[0].end <= pair[1].start));
        for mapping in &mappings {
            let _ = (mapping.to_nameless_region(text.as_bytes()), mapping.path(text.as_bytes()));
        }
    }

    #[test]
    fn printed_lines_are_read_back(lines in proptest::collection::vec(line(), 0..20)) {
        let mut text = Vec::new();
        let mut expected = Vec::new();
        let mut address = 0x1000;
        for (gap, size, rights, shared, offset, device, inode, path) in lines {
            let start = address + gap * 0x1000;
            address = start + size * 0x1000;
            let protection = Protection::from_bits_truncate(rights);
            let mapping =
                Mapping { start, end: address, protection, shared, offset, device, inode, name: 0..0 };
            text.extend(print(&mapping, &path));
            expected.push((mapping, path));
        }
        let (mappings, skipped) = parse_all(&text);
        prop_assert_eq!(skipped, 0);
        prop_assert_eq!(mappings.len(), expected.len());
        for (read, (mapping, path)) in mappings.iter().zip(&expected) {
            // A path that holds the escape itself is ambiguous in the kernel's own text.
            let ambiguous = path.windows(4).any(|window| window == ESCAPED_NEWLINE);
            prop_assert!(ambiguous || read.path(&text).as_ref() == path.as_slice());
            prop_assert_eq!(&Mapping { name: 0..0, ..read.clone() }, mapping);
        }
    }
}
