use super::build::{TEB, amd64, amd64_thread, windows, windows_thread, with};
use crate::build::{bytes_at, encode, encode_from, full_source, plan};
use minidump::{CrashReason, MinidumpMemoryList, MinidumpThreadList, MinidumpThreadNames, UnifiedMemoryList};
use minidump_snapshot::{BufferSource, Purpose, ThreadTimes};

#[test]
fn a_thread_has_its_teb_suspend_count_and_priority_class() {
    let mut first = amd64_thread(8);
    first.priority = Some(-2);
    let snapshot = with(windows(amd64(), vec![first, amd64_thread(4)]), |facts| {
        facts.threads = vec![windows_thread(8)];
    });
    let raw = encode(&snapshot);
    let (list, size) = raw.stream(3);
    assert_eq!(size, 4 + 2 * 48);
    let head: Vec<u32> = (0..4).map(|index| raw.u32(list + 4 + 4 * index)).collect();
    assert_eq!(head, [8, 2, 0x20, 0xffff_fffe]);
    assert_eq!(raw.u64(list + 4 + 16), TEB);
    let second: Vec<u32> = (0..4).map(|index| raw.u32(list + 52 + 4 * index)).collect();
    assert_eq!(second, [4, 0, 0, 0], "nothing is known of it");
}

#[test]
fn the_last_error_is_read_from_the_teb() {
    const ERROR_ACCESS_DENIED: u32 = 5;
    let mut teb = bytes_at(TEB, 0x100);
    teb[0x68..0x6c].copy_from_slice(&ERROR_ACCESS_DENIED.to_le_bytes());
    let plan = plan(&[(TEB, 0x100, Purpose::Loader)], &[]);
    let mut source = BufferSource::new();
    assert!(source.insert(TEB, teb));
    let raw = encode_from(&windows(amd64(), vec![amd64_thread(8)]), &plan, &source);
    let memory = UnifiedMemoryList::Memory(raw.read::<MinidumpMemoryList<'_>>());
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let error = threads.get_thread(8).unwrap().last_error(minidump::system_info::Cpu::X86_64, &memory);
    assert_eq!(error, Some(CrashReason::from_windows_error(ERROR_ACCESS_DENIED)));
}

#[test]
fn the_thread_info_tells_times_affinity_and_the_start_address() {
    let mut thread = amd64_thread(8);
    thread.affinity = Some(0xff);
    thread.times = Some(ThreadTimes { start_us: 1_700_000_000_000_000, user_us: 5, kernel_us: 7 });
    let snapshot = with(windows(amd64(), vec![thread]), |facts| facts.threads = vec![windows_thread(8)]);
    let raw = encode(&snapshot);
    let (at, size) = raw.stream(17);
    assert_eq!((size, raw.u32(at), raw.u32(at + 4), raw.u32(at + 8)), (12 + 64, 12, 64, 1));
    let entry = at + 12;
    assert_eq!([raw.u32(entry), raw.u32(entry + 4), raw.u32(entry + 8)], [8, 0, 0]);
    let numbers: Vec<u64> = (0..6).map(|index| raw.u64(entry + 16 + 8 * index)).collect();
    assert_eq!(numbers, [133_444_736_000_000_000, 0, 70, 50, 0x7ff6_0000_1000, 0xff]);
}

#[test]
fn threads_have_their_names_and_stacks() {
    let mut thread = amd64_thread(8);
    thread.name = Some("Träger".as_bytes().to_vec());
    let plan = plan(&[(0x10_0000, 0x80, Purpose::BlamedStack)], &[(8, 0x10_0000, 0x80)]);
    let raw = encode_from(&windows(amd64(), vec![thread]), &plan, &full_source(&plan));
    let names = raw.read::<MinidumpThreadNames>();
    assert_eq!(names.get_name(8).as_deref(), Some("Träger"));
    let threads = raw.read::<MinidumpThreadList<'_>>();
    let memory = UnifiedMemoryList::Memory(raw.read::<MinidumpMemoryList<'_>>());
    let stack = threads.get_thread(8).unwrap().stack_memory(&memory).unwrap();
    assert_eq!(stack.bytes(), bytes_at(0x10_0000, 0x80));
}
