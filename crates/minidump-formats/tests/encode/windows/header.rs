use super::build::{PEB, TEB, amd64, amd64_thread, windows, with};
use crate::build::{encode, encode_from, full_source, plan};
use minidump_snapshot::{Purpose, Snapshot, UnloadedModule, WindowsHandle, WindowsRegion};

fn flags(snapshot: &Snapshot, ranges: &[(u64, u64, Purpose)]) -> u64 {
    let plan = plan(ranges, &[]);
    encode_from(snapshot, &plan, &full_source(&plan)).u64(24)
}

#[test]
fn the_flags_tell_of_the_streams_that_are_there() {
    let bare = windows(amd64(), vec![]);
    assert_eq!(encode(&bare).u64(24), 0x1000);
    let full = with(bare, |facts| {
        facts.handles = vec![WindowsHandle::default()];
        facts.unloaded_modules = vec![UnloadedModule::default()];
        facts.regions = vec![WindowsRegion::default()];
    });
    assert_eq!(encode(&full).u64(24), 0x1824);
}

#[test]
fn the_blocks_of_process_and_threads_are_claimed_when_all_are_held() {
    let snapshot = windows(amd64(), vec![amd64_thread(1)]);
    let (peb, teb) = ((PEB, 0x100, Purpose::Loader), (TEB, 0x100, Purpose::Loader));
    assert_eq!(flags(&snapshot, &[peb, teb]), 0x1100);
    assert_eq!(flags(&snapshot, &[peb]), 0x1000);
    assert_eq!(flags(&snapshot, &[teb]), 0x1000);
}
