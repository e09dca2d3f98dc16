//! `LC_THREAD`, byte for byte.

use crate::build::{
    amd64_registers, amd64_thread, apple_thread, arm64_registers, empty, empty_amd64, encode, thread,
};
use crate::restore::restored;
use minidump_formats::macho_core::{MachoCoreOptions, layout};
use minidump_snapshot::{Exception, MemoryPlan, Snapshot, Stage, Thread};
use serde_json::json;

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// `seed` of the thread, then the index that `build` gives the registers.
fn value(seed: u64, index: u64) -> u64 {
    seed << 32 | 0x1111_0000 | index
}

#[test]
fn arm64_threads_have_general_exception_and_vector_registers() {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(7, arm64_registers(9))];
    let core = encode(&snapshot);
    let [sets] = core.threads.as_slice() else { panic!("one thread") };
    let flavors: Vec<(u32, usize)> = sets.iter().map(|(flavor, bytes)| (*flavor, bytes.len())).collect();
    assert_eq!(flavors, [(6, 272), (7, 16), (17, 528)]);
    // X0 to X28, FP, LR, SP, PC are numbered from 0 to 32.
    let mut general = words(&(0..33).map(|index| value(9, index)).collect::<Vec<_>>());
    general.extend(words(&[0x6000_1000]));
    assert_eq!(sets[0].1, general);
    let mut exception = words(&[0xdead_0000]);
    exception.extend([0x46, 0, 0, 0x92, 3, 0, 0, 0]);
    assert_eq!(sets[1].1, exception);
    let mut vector: Vec<u8> = (0..512_u32).map(|index| (index % 251) as u8).collect();
    vector.extend([0x11, 0, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(sets[2].1, vector);
}

#[test]
fn amd64_threads_have_general_registers_first() {
    let mut snapshot = empty_amd64();
    let state = amd64_registers(9);
    let image = state.xsave.clone();
    snapshot.threads = vec![amd64_thread(7, state)];
    let core = encode(&snapshot);
    let [sets] = core.threads.as_slice() else { panic!("one thread") };
    let flavors: Vec<(u32, usize)> = sets.iter().map(|(flavor, bytes)| (*flavor, bytes.len())).collect();
    assert_eq!(flavors, [(4, 168), (6, 16), (5, 524)]);
    // From RAX to RIP they are numbered from 0 to 16, in the order of the structure.
    let mut general = words(&(0..17).map(|index| value(9, index)).collect::<Vec<_>>());
    general.extend(words(&[0x246, 0x2b, 3, 4]));
    assert_eq!(sets[0].1, general);
    let mut exception = vec![3, 0, 5, 0, 0x46, 0, 0, 0x92];
    exception.extend(words(&[0xdead_0000]));
    assert_eq!(sets[1].1, exception);
    assert_eq!(sets[2].1, [[0; 8].as_slice(), &image, &[0; 4]].concat());
}

#[test]
fn sets_that_are_not_known_are_left_out() {
    let mut snapshot = empty();
    let mut state = arm64_registers(1);
    state.vector = None;
    snapshot.threads = vec![thread(1, state)];
    snapshot.threads[0].apple.as_mut().unwrap().fault = None;
    let flavors = |core: &crate::parse::Core| -> Vec<u32> {
        core.threads[0].iter().map(|(flavor, _)| *flavor).collect()
    };
    assert_eq!(flavors(&encode(&snapshot)), [6]);
    let mut snapshot = empty_amd64();
    let mut state = amd64_registers(1);
    state.xsave.truncate(511);
    snapshot.threads = vec![amd64_thread(1, state)];
    assert_eq!(flavors(&encode(&snapshot)), [4, 6]);
}

#[test]
fn the_crashed_thread_comes_first_then_the_others_in_their_order() {
    let mut snapshot = empty();
    snapshot.threads =
        [1, 2, 3, 4].map(|id| thread(id, arm64_registers(u64::from(id)))).into_iter().collect();
    snapshot.blamed_thread = Some(2);
    let order = |snapshot: &Snapshot| -> Vec<u64> {
        encode(snapshot).threads.iter().map(|sets| crate::parse::word64(&sets[0].1, 0) >> 32).collect()
    };
    assert_eq!(order(&snapshot), [2, 1, 3, 4]);
    snapshot.exception =
        Some(Exception { thread: 3, code: 1, flags: 1, address: 0, parameters: vec![1, 1, 0] });
    assert_eq!(order(&snapshot), [3, 1, 2, 4]);
    let metadata = encode(&snapshot).note("process metadata").unwrap().contents.clone();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    let ids: Vec<u64> = [3, 1, 2, 4].map(|id| 0x5_0000_0000 | id).into();
    let expected: Vec<_> = ids.iter().map(|id| json!({ "thread_id": id })).collect();
    assert_eq!(metadata, json!({ "threads": expected }));
}

#[test]
fn a_thread_without_registers_is_in_our_own_note_alone() {
    let mut snapshot = empty();
    snapshot.threads = vec![Thread::new(1), thread(2, arm64_registers(2)), Thread::new(3)];
    snapshot.threads[2].fallback_sp_ip = Some((0x7000, 0x4000));
    snapshot.threads[2].apple = Some(Box::new(apple_thread(3)));
    let core = encode(&snapshot);
    let metadata = &core.note("process metadata").unwrap().contents;
    let metadata: serde_json::Value = serde_json::from_slice(metadata).unwrap();
    assert_eq!(metadata["threads"].as_array().unwrap().len(), core.threads.len());
    assert_eq!(restored(&snapshot, &core), snapshot);
    let [(6, general), (7, _)] = core.threads[1].as_slice() else { panic!("two sets") };
    let mut expected = [0; 34];
    (expected[31], expected[32]) = (0x7000, 0x4000);
    assert_eq!(general, &words(&expected));
}

#[test]
fn registers_of_another_processor_are_left_out_and_told() {
    let mut snapshot = empty();
    snapshot.threads = vec![amd64_thread(1, amd64_registers(1)), thread(2, arm64_registers(2))];
    let plan = MemoryPlan::default();
    let layout = layout(&snapshot, &plan, &MachoCoreOptions::default()).unwrap();
    let [error] = layout.soft_errors() else { panic!("one soft error") };
    assert_eq!((error.stage, error.thread), (Stage::Format, Some(1)));
    let core = encode(&snapshot);
    assert_eq!(core.threads.len(), 1);
    let mut expected = snapshot.clone();
    expected.soft_errors = vec![error.clone()];
    expected.threads[0].cpu = None;
    assert_eq!(restored(&snapshot, &core), expected);
}

#[test]
fn a_thread_without_a_long_id_has_its_short_one() {
    let mut snapshot = empty();
    snapshot.threads = vec![thread(77, arm64_registers(1)), thread(78, arm64_registers(2))];
    snapshot.threads[0].apple = None;
    snapshot.threads[1].apple.as_mut().unwrap().id = 0;
    let core = encode(&snapshot);
    let metadata = &core.note("process metadata").unwrap().contents;
    assert_eq!(metadata, br#"{"threads":[{"thread_id":77},{"thread_id":78}]}"#);
}
