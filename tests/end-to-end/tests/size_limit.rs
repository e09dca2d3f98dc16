//! `--size-limit`: the memory in a dump stays below it, and every thread keeps what its stack pointer points at.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use end_to_end::stack_pointers::assert_every_stack_pointer;
use end_to_end::unharmed::assert_unharmed;
use end_to_end::{Target, dump, dump_with};

const THREADS: usize = 200;
#[test]
fn from_64_kib_to_2_mib_every_thread_keeps_its_stack_pointer() {
    let mut target = Target::start(["deep-threads", &THREADS.to_string(), "128"]);
    let whole = dump(target.pid());
    assert!(whole.memory_total() > 20 << 20, "{} bytes without a limit", whole.memory_total());
    let mut before = 0;
    for (name, limit) in [
        ("64K", 64 << 10),
        ("128K", 128 << 10),
        ("200000", 200_000),
        ("512K", 512 << 10),
        ("1M", 1 << 20),
        ("2M", 2 << 20),
    ] {
        let dump = dump_with(target.pid(), ["--size-limit", name]);
        let kept = dump.memory_total();
        assert!(kept <= limit, "{name}: {kept} bytes of memory");
        let fixed = whole.bytes.len() as u64 - whole.memory_total();
        let size = dump.bytes.len() as u64;
        assert!(size <= limit + fixed + (64 << 10), "{name}: a file of {size} bytes, {fixed} of it fixed");
        assert_every_stack_pointer(&dump);
        assert!(kept > before, "{name}: a higher limit keeps more, {kept} and {before} bytes");
        assert!(kept > limit / 2, "{name}: the limit is used, {kept} bytes");
        before = kept;
    }
    assert_unharmed(&mut target);
}

#[test]
fn a_limit_above_the_need_changes_nothing() {
    let target = Target::start(["threads", "4"]);
    let (plain, limited) = (dump(target.pid()), dump_with(target.pid(), ["--size-limit", "1G"]));
    assert_eq!(plain.memory_total(), limited.memory_total());
    limited.assert_parked(&target.parked());
}

#[test]
fn the_blamed_thread_keeps_its_known_frames() {
    let target = Target::start(["deep-threads", "200", "128"]);
    let parked = target.parked();
    for thread in [&parked[0], &parked[199]] {
        let dump = dump_with(target.pid(), ["--size-limit", "512K", "--tid", &thread.tid.to_string()]);
        dump.assert_parked(std::slice::from_ref(thread));
        assert_eq!(dump.thread_ids()[0], thread.tid);
    }
}

#[test]
fn a_limit_holds_for_indirect_memory_too() {
    let target = Target::start(["pointers", "100"]);
    for (name, limit) in [("256K", 256 << 10), ("1M", 1 << 20)] {
        let dump = dump_with(target.pid(), ["--memory", "indirect", "--size-limit", name]);
        assert!(dump.memory_total() <= limit, "{name}: {} bytes", dump.memory_total());
        assert_every_stack_pointer(&dump);
    }
}
