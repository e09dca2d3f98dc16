use super::*;
use crate::cpu::Amd64State;
use crate::{
    BufferSource, Cpu, CpuState, MemoryPolicy, Module, OperatingSystem, Process, Purpose, Region, RegionKind,
    System, Thread,
};
use proptest::prelude::*;

const RW: Protection = Protection::READ.union(Protection::WRITE);
const STACK: u64 = 0x7000_0000;
const SP: u64 = STACK + 0x800;
const MAIN_STACK: u64 = 0x7ffd_0000_0000;
const HEAP: u64 = 0x5000_0000;
const CODE: u64 = 0x40_0000;
const MODULE: u64 = 0x7f00_0000_0000;

fn region(start: u64, size: u64, protection: Protection, kind: RegionKind) -> Region {
    let end = start + size;
    Region { start, end, protection, shared: false, kind, dont_dump: false, offset: 0, name: Vec::new() }
}

fn thread(id: u32, rsp: u64) -> Thread {
    let cpu = CpuState::Amd64(Box::new(Amd64State { rsp, rip: CODE + 0x100, ..Amd64State::default() }));
    Thread { cpu: Some(cpu), ..Thread::new(id) }
}

/// Two threads, code outside of any module, a module with data, a heap.
fn snapshot() -> Snapshot {
    let cpu = Cpu::Amd64 {
        vendor: *b"GenuineIntel",
        version_information: 0,
        feature_information: 0,
        extended_features: 0,
        xsave: Vec::new(),
    };
    let system = System {
        os: OperatingSystem::Linux,
        version: (6, 1, 0),
        description: "Linux".into(),
        cpu,
        cpu_count: 1,
        cpu_max_mhz: None,
        page_size: 4096,
        build: "test".into(),
    };
    let mut snapshot = Snapshot::new(Process { pid: 100, ..Process::default() }, system);
    snapshot.regions = vec![
        region(CODE, 0x1000, Protection::READ | Protection::EXECUTE, RegionKind::Anonymous),
        region(HEAP, 0x1000, RW, RegionKind::Heap),
        region(STACK, 0x1000, RW, RegionKind::Anonymous),
        region(MODULE, 0x2000, Protection::READ, RegionKind::File),
        region(MAIN_STACK, 0x1000, RW, RegionKind::Stack),
    ];
    snapshot.modules.push(Module {
        base: MODULE,
        size: 0x2000,
        path: b"/lib/x.so".to_vec(),
        soname: None,
        version: None,
        id: None,
        is_main: false,
        deleted: false,
    });
    snapshot.threads = vec![thread(100, MAIN_STACK + 0x400), thread(101, SP)];
    snapshot
}

/// The whole address space of `snapshot`: zeros, but for the given words.
fn memory(snapshot: &Snapshot, words: &[(u64, u64)]) -> BufferSource {
    let mut source = BufferSource::new();
    for region in &snapshot.regions {
        let mut bytes = vec![0; usize::try_from(region.size()).unwrap()];
        for (address, word) in words.iter().filter(|(address, _)| region.contains(*address)) {
            let offset = usize::try_from(address - region.start).unwrap();
            bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        assert!(source.insert(region.start, bytes));
    }
    source
}

fn plan(snapshot: &Snapshot) -> MemoryPlan {
    MemoryPlan::new(snapshot, &MemoryPolicy::default(), &mut Vec::new())
}

fn word_at(memory: &dyn MemorySource, address: u64) -> u64 {
    let mut bytes = [0xee; 8];
    assert_eq!(memory.read(address, &mut bytes), ReadOutcome::complete(8));
    u64::from_le_bytes(bytes)
}

/// What a word on a stack reads as.
fn shown(word: u64) -> u64 {
    let snapshot = snapshot();
    let (plan, source) = (plan(&snapshot), memory(&snapshot, &[(SP + 0x10, word)]));
    word_at(&SanitizedMemory::new(&source, &snapshot, &plan), SP + 0x10)
}

#[test]
fn pointers_into_stacks_code_and_modules_are_kept() {
    for word in [
        STACK,
        SP,
        STACK + 0xfff,
        MAIN_STACK,
        MAIN_STACK + 0xfff,
        CODE,
        CODE + 0xfff,
        MODULE,
        MODULE + 0x1fff,
    ] {
        assert_eq!(shown(word), word, "{word:#x}");
    }
}

#[test]
fn small_integers_of_both_signs_are_kept() {
    for number in [0, 1, 4095, 4096, -1, -4095, -4096_i64] {
        assert_eq!(shown(number.cast_unsigned()), number.cast_unsigned(), "{number}");
    }
}

#[test]
fn everything_else_becomes_the_marker() {
    let text = u64::from_le_bytes(*b"hunter2!");
    let numbers = [4097, -4097_i64, i64::MIN, i64::MAX].map(i64::cast_unsigned);
    let outside = [HEAP, HEAP + 8, STACK - 1, STACK + 0x1000, CODE - 1, CODE + 0x1000, MODULE + 0x2000];
    for word in numbers.into_iter().chain(outside).chain([text, 0x1_0000_0000, u64::from(u32::MAX)]) {
        assert_eq!(shown(word), 0x0def_aced_0def_aced, "{word:#x}");
    }
}

#[test]
fn below_the_stack_pointer_everything_is_zero() {
    let snapshot = snapshot();
    let source = memory(&snapshot, &[(SP - 8, CODE), (SP - 0x80, 7), (STACK, 0x5ec_2e70), (SP, CODE)]);
    let plan = plan(&snapshot);
    let sanitized = SanitizedMemory::new(&source, &snapshot, &plan);
    assert_eq!([SP - 8, SP - 0x80, STACK].map(|at| word_at(&sanitized, at)), [0, 0, 0]);
    assert_eq!(word_at(&sanitized, SP), CODE);
}

#[test]
fn memory_that_is_no_stack_stays_as_it_is() {
    let snapshot = snapshot();
    let secret = 0x1122_3344_5566_7788;
    let places = [CODE + 0x100, HEAP + 0x10, MODULE + 0x1000];
    let source = memory(&snapshot, &places.map(|place| (place, secret)));
    let plan = plan(&snapshot);
    let sanitized = SanitizedMemory::new(&source, &snapshot, &plan);
    assert_eq!(places.map(|place| word_at(&sanitized, place)), [secret; 3]);
}

#[test]
fn stacks_are_defaced_beyond_what_was_planned_of_them() {
    let mut snapshot = snapshot();
    // One runs on a stack for signals and is marked by its thread pointer, one was cut, one is the main thread's.
    snapshot.regions.insert(2, region(0x6000_0000, 0x1000, RW, RegionKind::Anonymous));
    snapshot.threads[0] = thread(100, HEAP + 0x800);
    snapshot.threads[1].thread_pointer = Some(0x6000_0600);
    let secret = 0x1122_3344_5566_7788;
    let places = [0x6000_0008, 0x6000_0700, STACK + 0xff8, MAIN_STACK + 8, HEAP + 0xf00];
    let source = memory(&snapshot, &places.map(|place| (place, secret)));
    let plan = MemoryPlan::new(
        &snapshot,
        &MemoryPolicy { stack_cap: 256, mode: crate::MemoryMode::Full, ..MemoryPolicy::default() },
        &mut Vec::new(),
    );
    let sanitized = SanitizedMemory::new(&source, &snapshot, &plan);
    assert_eq!(places.map(|place| word_at(&sanitized, place)), [0x0def_aced_0def_aced; 5]);
}

#[test]
fn where_two_threads_share_a_stack_the_lower_one_loses_nothing() {
    let mut snapshot = snapshot();
    snapshot.threads.push(thread(102, STACK + 0x100));
    let source = memory(&snapshot, &[(STACK + 0x200, CODE + 4), (STACK + 0x80, CODE + 4)]);
    let plan = plan(&snapshot);
    let sanitized = SanitizedMemory::new(&source, &snapshot, &plan);
    assert_eq!([STACK + 0x200, STACK + 0x80].map(|at| word_at(&sanitized, at)), [CODE + 4, 0]);
}

#[test]
fn a_word_of_which_only_a_part_is_there_is_defaced() {
    let snapshot = snapshot();
    let mut source = BufferSource::new();
    assert!(source.insert(SP + 0x13, vec![0; 0x12]));
    let plan = plan(&snapshot);
    let sanitized = SanitizedMemory::new(&source, &snapshot, &plan);
    let mut bytes = [0xee; 0x20];
    assert_eq!(sanitized.read(SP + 0x13, &mut bytes).done, 0x12);
    let marker = SanitizedMemory::MARKER;
    let expected = [&marker[3..], &[0; 8], &marker[..5]].concat();
    assert_eq!(bytes[..0x12], expected);
}

#[test]
fn words_of_four_bytes_are_looked_at_one_by_one() {
    let snapshot = snapshot();
    let words = [
        0x4fff_fffc_u32,
        1,
        4096,
        4097,
        u32::MAX,
        4096_u32.wrapping_neg(),
        4097_u32.wrapping_neg(),
        0x40_0010,
    ];
    let mut source = BufferSource::new();
    assert!(source.insert(SP, words.iter().flat_map(|word| word.to_le_bytes()).collect()));
    let plan = plan(&snapshot);
    let sanitized = SanitizedMemory { word_size: 4, ..SanitizedMemory::new(&source, &snapshot, &plan) };
    let mut bytes = [0xee; 32];
    assert_eq!(sanitized.read(SP, &mut bytes), ReadOutcome::complete(32));
    let found: Vec<u32> = bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    let marker = 0x0def_aced;
    assert_eq!(found, [marker, 1, 4096, marker, u32::MAX, 4096_u32.wrapping_neg(), marker, 0x40_0010]);
    let mut piece = [0xee; 3];
    assert_eq!(sanitized.read(SP + 13, &mut piece).done, 3);
    assert_eq!(piece, bytes[13..16]);
}

#[test]
fn a_plan_without_threads_names_its_stacks_itself() {
    let mut snapshot = snapshot();
    snapshot.threads.clear();
    let range = crate::PlannedRange { start: HEAP, size: 0x100, purpose: Purpose::Stack };
    let stack = crate::ThreadStack { thread: 7, start: HEAP, size: 0x100 };
    let plan = MemoryPlan::from_ranges(vec![range], vec![stack]);
    let source = memory(&snapshot, &[(HEAP + 8, 0x1_0000), (HEAP + 0x100, 0x1_0000)]);
    let sanitized = SanitizedMemory::new(&source, &snapshot, &plan);
    assert_eq!([HEAP + 8, HEAP + 0x100].map(|at| word_at(&sanitized, at)), [0x0def_aced_0def_aced, 0x1_0000]);
}

proptest! {
    #[test]
    fn every_read_shows_the_same_bytes(
        words in prop::collection::vec(
            prop_oneof![any::<u64>(), 0_u64..5000, CODE..CODE + 0x1000, STACK..STACK + 0x1000], 64),
        reads in prop::collection::vec((0_u64..0x200, 0_usize..0x200), 1..40),
        (low, high) in (0_u64..0x40, 0x1c0_u64..0x200),
    ) {
        let snapshot = snapshot();
        let base = SP - 0x80;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut source = BufferSource::new();
        let held = &bytes[usize::try_from(low).unwrap()..usize::try_from(high).unwrap()];
        prop_assert!(source.insert(base + low, held.to_vec()));
        let plan = plan(&snapshot);
        let sanitized = SanitizedMemory::new(&source, &snapshot, &plan);
        let mut whole = vec![0xee; held.len()];
        prop_assert_eq!(sanitized.read(base + low, &mut whole), ReadOutcome::complete(held.len()));
        for (offset, size) in reads {
            let mut piece = vec![0xee; size];
            let expected_outcome = source.read(base + offset, &mut vec![0; size]);
            let mut requests = [ReadRequest::new(base + offset, &mut piece)];
            sanitized.read_batch(&mut requests);
            prop_assert_eq!(requests[0].outcome, expected_outcome);
            let done = expected_outcome.done;
            if done > 0 {
                let start = usize::try_from(offset - low).unwrap();
                prop_assert_eq!(&piece[..done], &whole[start..start + done]);
            }
        }
    }

    #[test]
    fn no_byte_of_a_secret_word_is_ever_shown(offset in 0_u64..0x100, size in 1_usize..0x40) {
        let snapshot = snapshot();
        let mut source = BufferSource::new();
        prop_assert!(source.insert(SP, vec![0x77; 0x200]));
        let plan = plan(&snapshot);
        let mut bytes = vec![0; size];
        let outcome = SanitizedMemory::new(&source, &snapshot, &plan).read(SP + offset, &mut bytes);
        prop_assert_eq!(outcome, ReadOutcome::complete(size));
        prop_assert!(!bytes.contains(&0x77));
    }
}
