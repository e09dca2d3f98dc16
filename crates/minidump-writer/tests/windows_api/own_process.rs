//! The own process.

use crate::dump::Dump;
use minidump_writer::UserStream;
use minidump_writer::minidump_writer::{DumpDetails, MinidumpType, MinidumpWriter};
use std::sync::mpsc::channel;
use std::thread;
use windows_sys::Win32::System::Threading::GetCurrentThreadId;

fn own_thread() -> u32 {
    // SAFETY: no preconditions.
    unsafe { GetCurrentThreadId() }
}

#[test]
fn by_default_the_calling_thread_is_shown_where_it_called() {
    let here = 0_u64;
    let dump = Dump::of(|file| {
        // What the file held is gone afterwards.
        file.set_len(64 << 20).unwrap();
        MinidumpWriter::dump_local_context(None, None, None, file)
    });
    assert_eq!(dump.exception_record(), (0xc000_0025, vec![]), "STATUS_NONCONTINUABLE_EXCEPTION");
    assert_eq!(dump.exception().thread_id, own_thread());
    let registers = dump.registers();
    assert_eq!(dump.exception().raw.exception_record.exception_address, registers.rip);
    let here = &raw const here as u64;
    assert!((here - 0x1_0000..here).contains(&registers.rsp), "{:#x} is not below {here:#x}", registers.rsp);
    assert!(dump.has_memory_at(registers.rsp), "the stack is there");
    let (writer, requester) = dump.breakpad_threads();
    assert_eq!(requester, own_thread());
    assert_ne!(writer, requester, "a thread of its own writes the dump");
    assert!(dump.threads().contains(&writer) && dump.threads().contains(&requester));
}

#[test]
fn another_thread_is_shown_where_it_is_and_runs_on() {
    let (tell, told) = channel();
    let (ask, asked) = channel::<u32>();
    let parked = thread::spawn(move || {
        let here = 0_u64;
        tell.send((u64::from(own_thread()), &raw const here as u64)).unwrap();
        asked.recv().unwrap() + 1
    });
    let (id, stack) = told.recv().unwrap();
    let id = u32::try_from(id).unwrap();
    let dump = Dump::of(|file| MinidumpWriter::dump_local_context(Some(-7), Some(id), None, file));
    assert_eq!(dump.exception_record().0.cast_signed(), -7);
    assert_eq!(dump.exception().thread_id, id);
    let registers = dump.registers();
    assert!(
        (stack - 0x1_0000..stack).contains(&registers.rsp),
        "{:#x} is not below {stack:#x}",
        registers.rsp
    );
    assert_eq!(dump.breakpad_threads().1, id);
    // It would not answer if it still stood.
    ask.send(41).unwrap();
    assert_eq!(parked.join().unwrap(), 42);
}

#[test]
fn streams_of_the_application_and_flags_are_taken() {
    let streams = [
        UserStream { stream_type: 0x1234_5678, bytes: b"one stream" },
        UserStream { stream_type: 0x1234_5679, bytes: &[] },
    ];
    let mut details = DumpDetails::default();
    details.minidump_type = MinidumpType::WithHandleData
        | MinidumpType::WithUnloadedModules
        | MinidumpType::WithProcessThreadData
        | MinidumpType::WithFullMemoryInfo
        | MinidumpType::WithThreadInfo
        | MinidumpType::WithTokenInformation
        | MinidumpType::IgnoreInaccessibleMemory;
    details.user_streams = &streams;
    let dump = Dump::of(|file| MinidumpWriter::dump_local_context_with(Some(5), None, &details, file));
    assert_eq!(dump.exception_record().0, 5);
    assert_eq!(dump.stream(0x1234_5678).unwrap(), b"one stream");
    assert_eq!(dump.stream(0x1234_5679).unwrap(), b"");
    assert_eq!(dump.minidump.header.flags, u64::from(details.minidump_type.bits()));
}
