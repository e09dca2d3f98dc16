//! Every way to crash gives a dump whose thread, signal, address and stack are right.

use super::child::{CRASH_MARK, EXIT_NOT_ALLOWED};
use super::dump::{Dump, Read, crash, crash_over, holds};
use minidump::{CrashReason, Module};

const SIGABRT: u32 = libc::SIGABRT.cast_unsigned();
const SIGSEGV: u32 = libc::SIGSEGV.cast_unsigned();

fn check_signal(read: &Read, signal: u32, address: u64) {
    let record = &read.exception.raw.exception_record;
    assert_eq!(record.exception_code, signal);
    assert_eq!(record.exception_address, address);
}

/// The crash of `crash_null`, in whatever state the process was.
fn check_null(dump: &Dump) {
    let read = dump.read();
    check_signal(&read, SIGSEGV, 0x18);
    assert_eq!(read.function(read.ip()), "crash_null");
    let (start, bytes) = read.stack();
    assert!(start <= read.sp() && read.sp() < start + bytes.len() as u64);
    assert!(holds(&bytes, CRASH_MARK));
}

#[test]
fn null_pointer_on_the_main_thread() {
    let dump = crash("null");
    check_null(&dump);
    let read = dump.read();
    assert_eq!(read.exception.get_crashing_thread_id(), dump.pid);
    let reason = read.exception.get_crash_reason(read.system.os, read.system.cpu);
    assert!(matches!(reason, CrashReason::LinuxSigsegv(_)), "{reason:?}");
    let record = &read.exception.raw.exception_record;
    assert_eq!((record.exception_flags, record.number_parameters), (1, 2));
    assert_eq!(record.exception_information[..3], [14, 6, 0]);
}

#[test]
fn null_pointer_on_a_worker() {
    let dump = crash("worker");
    check_null(&dump);
    let read = dump.read();
    assert_ne!(read.exception.get_crashing_thread_id(), dump.pid);
    let threads = read.threads();
    assert!(
        threads.threads.iter().any(|thread| thread.raw.thread_id == dump.pid),
        "the main thread is listed"
    );
}

#[test]
fn jump_to_where_no_code_is() {
    let dump = crash("jump");
    let read = dump.read();
    check_signal(&read, SIGSEGV, 0x1234_5000);
    assert_eq!(read.ip(), 0x1234_5000);
    let (start, bytes) = read.stack();
    let at = usize::try_from(read.sp() - start).unwrap();
    let caller = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(read.function(caller), "crash_jump");
    assert!(holds(&bytes, CRASH_MARK));
}

#[test]
fn abort() {
    let dump = crash("abort");
    let read = dump.read();
    check_signal(&read, SIGABRT, read.ip());
    assert!(holds(&read.stack().1, CRASH_MARK));
}

#[test]
fn stack_overflow_keeps_head_and_tail_of_the_stack() {
    for scenario in ["overflow-main", "overflow-worker"] {
        let dump = crash(scenario);
        let read = dump.read();
        assert_eq!(read.function(read.ip()), "overflow_in_small_frames");
        assert_eq!(read.exception.raw.exception_record.exception_code, SIGSEGV);
        let (start, bytes) = read.stack();
        let overflown = read.sp();
        assert!(start >= overflown.saturating_sub(128) && start - overflown < 4096 + 128, "{scenario}");
        let words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        let returns = words.filter(|word| *word > read.ip() && *word < read.ip() + 16).count();
        assert!(returns > bytes.len() / 32 - 8, "{scenario}: {returns} frames in {} bytes", bytes.len());
        let ranges = read.ranges();
        let tail = ranges.iter().find(|(_, bytes)| holds(bytes, CRASH_MARK));
        let (tail_start, tail) = tail.expect(scenario);
        assert!(*tail_start > start + bytes.len() as u64, "{scenario}: a range of its own");
        assert_eq!(tail.len(), 32 << 10);
    }
}

#[test]
fn stack_pointer_to_nowhere() {
    let dump = crash("bad-sp");
    let read = dump.read();
    assert_eq!(read.function(read.ip()), "lose_stack_pointer");
    assert_eq!(read.sp(), 0x10);
    assert!(holds(&read.stack().1, CRASH_MARK), "the stack that the thread owns is kept");
}

#[test]
fn heap_destroyed() {
    check_null(&crash("heap"));
}

#[test]
fn all_files_closed_but_the_dump() {
    let dump = crash("closed");
    check_null(&dump);
    assert!(dump.read().modules().iter().count() > 2);
}

#[test]
fn no_descriptor_left() {
    let dump = crash("no-descriptors");
    check_null(&dump);
    let read = dump.read();
    assert!(read.modules().iter().count() > 2, "one descriptor is kept for this");
    assert_eq!(read.messages().len(), 1, "{:?}", read.messages());
}

#[test]
fn no_proc_in_the_root() {
    let dump = crash_over("chroot", b"");
    if dump.exit == Some(EXIT_NOT_ALLOWED) {
        return;
    }
    assert_eq!(dump.exit, Some(0));
    check_null(&dump);
    assert_eq!(dump.read().messages().len(), 1);
}

#[test]
fn a_program_that_may_not_look_at_itself() {
    let dump = crash("non-dumpable");
    check_null(&dump);
    let read = dump.read();
    let program = read.modules();
    assert!(program.main_module().unwrap().code_identifier().is_some());
    let messages = read.messages();
    assert_eq!(messages[1..], ["the auxiliary vector is missing"]);
    assert_eq!(read.soft_errors()[1]["os_error"], libc::EACCES);
}

#[test]
fn address_space_exhausted() {
    check_null(&crash("no-memory"));
}

#[test]
fn main_thread_gone() {
    let dump = crash("main-gone");
    check_null(&dump);
    let read = dump.read();
    assert_ne!(read.exception.get_crashing_thread_id(), dump.pid);
    assert!(read.modules().iter().count() > 2, "the map is that of a living thread");
}

#[test]
fn forked_child() {
    let dump = crash("forked");
    check_null(&dump);
    let read = dump.read();
    let thread = read.exception.get_crashing_thread_id();
    assert_ne!(thread, dump.pid);
    assert_eq!(read.threads().threads.len(), 1, "only the child's own thread");
    let misc: minidump::MinidumpMiscInfo = read.file.get_stream().unwrap();
    assert_eq!(misc.raw.process_id().copied(), Some(thread));
}
