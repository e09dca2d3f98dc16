//! Notes about the process, byte for byte.

use crate::build::{PID, empty, encode, file_region, region, registers, thread};
use crate::parse::{word32, word64};
use minidump_snapshot::{LinuxFacts, Protection, RegionKind};

const PRPSINFO: u32 = 3;
const AUXV: u32 = 6;
const FILE: u32 = 0x4649_4c45;

#[test]
fn the_process_information_is_that_of_the_kernel() {
    let mut snapshot = empty();
    let mut first = thread(PID, registers(1));
    (first.state, first.priority) = (Some('S'), Some(15));
    snapshot.threads.push(first);
    snapshot.process.parent_pid = Some(88);
    snapshot.process.uid = Some(1000);
    snapshot.process.executable = Some(b"/opt/a-very-long-program-name".to_vec());
    let long = [b"/opt/x\0--flag\0".as_slice(), &[b'y'; 100], b"\0"].concat();
    snapshot.linux = Some(LinuxFacts {
        status: Some(b"Gid:\t100\t101\t102\t103\nNSpgid:\t90\nNSsid:\t91\n".to_vec()),
        cmdline: Some(long),
        ..LinuxFacts::default()
    });
    let bytes = encode(&snapshot).only(PRPSINFO);
    assert_eq!(bytes.len(), 136);
    assert_eq!(bytes[..4], [1, b'S', 0, 0xfb], "sleeping, nice -5");
    assert_eq!(bytes[4..16], [0; 12]);
    assert_eq!([16, 20, 24, 28, 32, 36].map(|at| word32(&bytes, at)), [1000, 100, PID, 88, 90, 91]);
    assert_eq!(bytes[40..56], *b"a-very-long-pro\0");
    assert_eq!(bytes[56..70], *b"/opt/x --flag ");
    assert_eq!((bytes[134], bytes[135]), (b'y', 0), "cut, and ended by a NUL");
}

#[test]
fn trailing_nuls_of_the_arguments_are_no_spaces() {
    let mut snapshot = empty();
    snapshot.linux = Some(LinuxFacts { cmdline: Some(b"a\0b\0\0".to_vec()), ..LinuxFacts::default() });
    assert_eq!(encode(&snapshot).only(PRPSINFO)[56..61], *b"a b\0\0");
}

#[test]
fn the_auxiliary_vector_is_copied() {
    let mut snapshot = empty();
    let auxv: Vec<u8> = (0..48).collect();
    snapshot.linux = Some(LinuxFacts { auxv: Some(auxv.clone()), ..LinuxFacts::default() });
    assert_eq!(encode(&snapshot).only(AUXV), auxv);
}

#[test]
fn mapped_files_are_listed_in_units_of_pages() {
    let mut snapshot = empty();
    let mut device = file_region(0x9000, 0xa000, 0, b"/dev/dri/card0");
    device.kind = RegionKind::Device;
    let mut heap = region(0x6000, 0x7000, Protection::READ);
    (heap.kind, heap.name) = (RegionKind::Heap, b"[heap]".to_vec());
    snapshot.regions = vec![
        file_region(0x1000, 0x3000, 0, b"/bin/x"),
        file_region(0x3000, 0x4000, 0x2000, b"/bin/x"),
        heap,
        file_region(0x7000, 0x8000, 0x10_0000_0000_0000, b"/tmp/gone (deleted)"),
        device,
    ];
    let bytes = encode(&snapshot).only(FILE);
    let words: Vec<u64> = (0..11).map(|index| word64(&bytes, 8 * index)).collect();
    let expected = [3, 4096, 0x1000, 0x3000, 0, 0x3000, 0x4000, 2, 0x7000, 0x8000, 0x100_0000_0000];
    assert_eq!(words, expected);
    assert_eq!(bytes[88..], *b"/bin/x\0/bin/x\0/tmp/gone (deleted)\0");
}

#[test]
fn without_mapped_files_there_is_no_list() {
    let mut snapshot = empty();
    snapshot.regions.push(region(0x1000, 0x2000, Protection::READ));
    assert!(encode(&snapshot).all(FILE).is_empty());
}
