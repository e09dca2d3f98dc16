//! Headers and the order of the file.

use crate::build::{empty, encode, file_region, region, registers, thread};
use crate::parse::{word16, word32, word64};
use minidump_snapshot::{Exception, LinuxFacts, Protection};

#[test]
fn the_header_is_that_of_a_core_for_x86_64() {
    let core = encode(&empty());
    assert_eq!(core.bytes[..16], *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let halves: Vec<u16> =
        [16, 18, 52, 54, 56, 58, 60, 62].iter().map(|at| word16(&core.bytes, *at)).collect();
    assert_eq!(halves, [4, 62, 64, 56, 1, 0, 0, 0], "ET_CORE, EM_X86_64, sizes and counts");
    assert_eq!(word32(&core.bytes, 20), 1, "EV_CURRENT");
    assert_eq!((word64(&core.bytes, 24), word64(&core.bytes, 32), word64(&core.bytes, 40)), (0, 64, 0));
    assert_eq!(word64(&core.bytes, 64 + 8), 64 + 56, "the notes follow the program headers");
    assert_eq!(word64(&core.bytes, 64 + 48), 4, "their alignment");
}

#[test]
fn the_notes_are_in_the_order_of_linux() {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(4001, registers(1)), thread(4000, registers(2))];
    snapshot.blamed_thread = Some(4001);
    snapshot.regions = vec![file_region(0x1000, 0x2000, 0, b"/bin/x")];
    snapshot.exception = Some(Exception { thread: 4001, code: 11, flags: 1, address: 0, parameters: vec![] });
    snapshot.linux = Some(LinuxFacts {
        auxv: Some(vec![0; 16]),
        cmdline: Some(b"/bin/x\0".to_vec()),
        environ: Some(b"TOKEN=hunter2\0".to_vec()),
        maps: Some(b"...".to_vec()),
        ..LinuxFacts::default()
    });
    let core = encode(&snapshot);
    let names: Vec<String> =
        core.note_kinds().iter().map(|(owner, kind)| format!("{owner} {kind:#x}")).collect();
    let expected = [
        "CORE 0x1",
        "CORE 0x3",
        "CORE 0x53494749",
        "CORE 0x6",
        "CORE 0x46494c45",
        "CORE 0x2",
        "LINUX 0x202",
        "CORE 0x1",
        "CORE 0x2",
        "LINUX 0x202",
        "LINUX 0x205",
        "minidump-writer 0x4d7a0004",
        "minidump-writer 0x4d440010",
        "minidump-writer 0x47670006",
        "minidump-writer 0x47670009",
    ];
    assert_eq!(names[..15], expected);
    assert_eq!(names[15..], ["minidump-writer 0x4d440001"]);
    let secret = b"hunter2";
    assert!(!core.bytes.windows(secret.len()).any(|window| window == secret), "no environment");
}

#[test]
fn the_thread_that_crashed_comes_first_wherever_it_is() {
    let mut snapshot = empty();
    snapshot.threads = (1..=3).map(|id| thread(id, registers(id.into()))).collect();
    let first = |snapshot: &_| word32(&encode(snapshot).all(1)[0], 32);
    assert_eq!(first(&snapshot), 1);
    snapshot.blamed_thread = Some(2);
    assert_eq!(first(&snapshot), 2);
    snapshot.exception = Some(Exception { thread: 3, code: 6, flags: 0, address: 0, parameters: vec![] });
    assert_eq!(first(&snapshot), 3);
    let order: Vec<u32> = encode(&snapshot).all(1).iter().map(|status| word32(status, 32)).collect();
    assert_eq!(order, [3, 1, 2]);
}

#[test]
fn a_core_without_threads_still_tells_of_the_process() {
    let core = encode(&empty());
    assert_eq!(core.note_kinds()[0], ("CORE".to_owned(), 3));
}

#[test]
fn more_segments_than_the_header_can_count_are_counted_in_a_section_header() {
    let mut snapshot = empty();
    for (regions, extended) in [(65_533_u64, false), (65_534, true), (70_000, true)] {
        let region = |index: u64| region(index << 13, (index << 13) + 0x1000, Protection::READ);
        snapshot.regions = (1..=regions).map(region).collect();
        let core = encode(&snapshot);
        let count = word16(&core.bytes, 56);
        if extended {
            assert_eq!(count, 0xffff, "PN_XNUM");
            let section = usize::try_from(word64(&core.bytes, 40)).unwrap();
            assert_eq!(section as u64, 64 + 56 * (regions + 1), "right behind the program headers");
            assert_eq!((word16(&core.bytes, 58), word16(&core.bytes, 60)), (64, 1));
            assert_eq!(word64(&core.bytes, section + 32), 1, "sh_size: one section header");
            assert_eq!(u64::from(word32(&core.bytes, section + 44)), regions + 1, "sh_info");
        } else {
            assert_eq!((u64::from(count), word64(&core.bytes, 40)), (regions + 1, 0));
        }
        let loads = core.loads();
        assert_eq!(loads.len() as u64, regions);
        let last = loads[loads.len() - 1];
        assert_eq!((last.address, last.memory_size, last.file_size), (regions << 13, 0x1000, 0));
        assert_eq!(core.note_kinds()[0].1, 3, "the notes are found behind it");
    }
}
