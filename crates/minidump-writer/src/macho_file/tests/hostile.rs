//! Cores that are cut off, damaged or made to do harm.

use super::hand_made::{HandMade, arm64_thread, halves, image, words};
use super::*;
use proptest::prelude::*;

#[test]
fn other_files_are_refused() {
    let refusal = |bytes: &[u8]| converted(bytes, None).unwrap_err();
    assert!(matches!(refusal(&0xfeed_facf_u32.to_le_bytes()), ConvertError::Damaged { .. }));
    assert!(matches!(refusal(&0xfeed_face_u32.to_le_bytes()), ConvertError::OtherMachine { .. }));
    assert!(matches!(refusal(&0xfeed_facf_u32.to_be_bytes()), ConvertError::OtherMachine { .. }));
    assert!(matches!(refusal(&image(2, 0, 1, None, None)), ConvertError::NotACore));
    let mut other = core_of(&crashed(true));
    other[4] = 18;
    assert!(matches!(refusal(&other), ConvertError::OtherMachine { .. }));
    let nothing = HandMade { cpu_type: 0x0100_000c, ..HandMade::default() };
    assert!(matches!(refusal(&nothing.bytes()), ConvertError::Damaged { .. }));
}

#[test]
fn a_core_that_is_cut_off_yields_what_is_in_it() {
    let core = core_of(&crashed(true));
    // In the middle of the memory.
    let cut = core.len() - 0x800;
    let source = read_back(&core[..cut]);
    assert_eq!(source.snapshot.threads, crashed(true).threads);
    let told = |text: &str| source.snapshot.soft_errors.iter().any(|error| error.message.contains(text));
    assert!(told("memory ranges lie behind its end"), "{:?}", source.snapshot.soft_errors);
    assert!(memory_at(&source, STACK + 0x80, 0x100).is_some());
    // In the middle of our own note: behind all commands, before the first memory.
    let source = read_back(&core[..0xd00]);
    assert!(!source.snapshot.threads.is_empty());
    let Some(CpuState::Arm64(state)) = &source.snapshot.threads[0].cpu else { panic!("registers") };
    assert_eq!(state.pc, CODE + 0x40);
    let told = |text: &str| source.snapshot.soft_errors.iter().any(|error| error.message.contains(text));
    assert!(told("the note with the facts of the core is cut off"), "{:?}", source.snapshot.soft_errors);
}

#[test]
fn every_cut_is_survived() {
    let core = core_of(&crashed(false));
    for size in (0..core.len()).step_by(37) {
        let _ = converted(&core[..size], None);
    }
}

#[test]
fn a_promise_that_is_broken_in_our_own_note_is_kept_all_the_same() {
    let mut snapshot = crashed(true);
    let region = snapshot.regions[1].clone();
    snapshot.regions.insert(0, Region { end: region.end + 0x1000, ..region });
    snapshot.modules.push(snapshot.modules[0].clone());
    snapshot.threads.push(snapshot.threads[0].clone());
    snapshot.blamed_thread = Some(1);
    let exception = snapshot.exception.as_mut().unwrap();
    exception.thread = 12345;
    exception.parameters = vec![1; 40];
    let found = read_back(&core_of(&snapshot)).snapshot;
    assert!(found.regions.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert_eq!((found.modules.len(), found.threads.len()), (2, 4));
    assert_eq!(found.blamed_thread, Some(CRASHED));
    assert_eq!(found.exception.unwrap().parameters.len(), 15);
    assert!(found.soft_errors.iter().any(|error| error.message.contains("thread that is not in it")));
}

#[test]
fn segments_at_the_end_of_the_address_space_and_of_no_size_are_survived() {
    let mut bytes = HandMade {
        cpu_type: 0x0100_000c,
        threads: vec![arm64_thread(STACK, u64::MAX, 0x9200_0046)],
        segments: vec![(u64::MAX - 8, vec![1; 64], 7), (0, vec![], 0), (STACK, vec![2; 64], 1)],
        ..HandMade::default()
    };
    assert_eq!(converted(&bytes.bytes(), None).unwrap().1.threads, 1);
    bytes.notes = vec![
        ("all image infos", [halves(&[1, u32::MAX]), words(&[0]), halves(&[48, 0])].concat()),
        ("main bin spec", vec![0xff; 56]),
        ("addrable bits", vec![0xff; 16]),
        (
            "minidump-writer",
            br#"{"version":1,"hole_table":{"offset":18446744073709551615,"capacity":9}}"#.to_vec(),
        ),
    ];
    assert_eq!(converted(&bytes.bytes(), None).unwrap().1.threads, 1);
}

#[test]
fn images_at_the_same_place_of_the_file_are_read_only_so_often() {
    // Each page of the address space shows the same header with commands of 256 KiB, mostly segments.
    let mut image = image(6, 0, 1, None, None);
    let segment: Vec<u8> = image[32 + 72..32 + 144].to_vec();
    let count = (256 << 10) / 72;
    image.truncate(32);
    image.extend(segment.repeat(count));
    image[16..20].copy_from_slice(&u32::try_from(count).unwrap().to_le_bytes());
    image[20..24].copy_from_slice(&u32::try_from(count * 72).unwrap().to_le_bytes());
    let core = HandMade {
        cpu_type: 0x0100_000c,
        threads: vec![arm64_thread(STACK, 0, 0)],
        segments: vec![(0x10_0000, image, 5)],
        ..HandMade::default()
    };
    let mut bytes = core.bytes();
    // The same segment again and again, at other addresses.
    let commands = 32 + 8 + core.threads[0].len();
    let command = bytes[commands..commands + 72].to_vec();
    let more = 2000_u64;
    let mut repeated = Vec::new();
    for index in 1..=more {
        let mut command = command.clone();
        command[24..32].copy_from_slice(&(index * 0x10_0000).to_le_bytes());
        let offset = core.contents_start() + (more - 1) * 72;
        command[40..48].copy_from_slice(&offset.to_le_bytes());
        repeated.extend(command);
    }
    bytes.splice(commands..commands + 72, repeated);
    bytes[16..20].copy_from_slice(&u32::try_from(1 + more).unwrap().to_le_bytes());
    let size =
        u32::from_le_bytes(bytes[20..24].try_into().unwrap()) + u32::try_from((more - 1) * 72).unwrap();
    bytes[20..24].copy_from_slice(&size.to_le_bytes());
    let snapshot = read_back(&bytes).snapshot;
    let segments: usize = snapshot.apple.unwrap().images.iter().map(|image| image.segments.len()).sum();
    // 64 MiB of commands.
    assert_eq!(segments, (64 << 20) / (count * 72) * count);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_is_survived(
        is_arm64 in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let mut bytes = core_of(&crashed(is_arm64));
        for (index, value) in damage {
            // Commands and notes.
            let end = bytes.len().min(8192);
            bytes[index.index(end)] = value;
        }
        let _ = converted(&bytes, None);
    }

    #[test]
    fn words_that_are_as_large_as_can_be_are_survived(
        places in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
        has_note in any::<bool>(),
    ) {
        let mut bytes = core_of(&crashed(true));
        if !has_note {
            // Our own note, by its owner's name.
            let at = bytes.windows(15).position(|name| name == b"minidump-writer").unwrap();
            bytes[at] = b'x';
        }
        for place in places {
            let at = 16 + place.index(1000) * 4;
            bytes[at..at + 4].fill(0xff);
        }
        let _ = converted(&bytes, None);
    }
}
