//! Settings that choose memory.

use crate::child::{DEEP_THREADS, FRAME, PAGE, SECRET};
use crate::dump::Dump;
use crate::target::Target;
use minidump::Module as _;
use minidump_writer::app_memory::AppMemory;
use minidump_writer::mem_reader::MemReader;
use std::io::{Cursor, Seek as _, SeekFrom};
use std::num::NonZeroUsize;

/// What takes the place of defaced words.
const MARKER: u64 = 0x0def_aced_0def_aced;

#[test]
fn the_dump_that_is_returned_is_the_one_that_is_written_from_the_current_position_on() {
    let target = Target::start();
    let mut file = Cursor::new(b"before".to_vec());
    file.seek(SeekFrom::End(0)).unwrap();
    let returned = target.writer().dump(&mut file).unwrap();
    let written = file.into_inner();
    assert_eq!(written[..6], *b"before");
    assert_eq!(written[6..], returned);
    assert_eq!(Dump::read(returned).threads()[0].0, target.pid(), "the blamed thread comes first");
}

#[test]
fn without_settings_every_stack_is_there_as_it_was() {
    let target = Target::start();
    let dump = Dump::of(&mut target.writer());
    let threads = target.threads("deep");
    assert_eq!(threads.len() as u64, DEEP_THREADS);
    for thread in [threads, target.threads("secret"), target.threads("referring")].concat() {
        let words = dump.words_at(thread.words, FRAME).unwrap();
        assert!(words.iter().all(|word| *word == words[0]), "{thread:?}");
    }
    let secret = target.threads("secret")[0];
    assert_eq!(dump.words_at(secret.words, FRAME), Some(vec![SECRET; FRAME]));
    assert_eq!(dump.bytes_at(target.address("application") as u64, 1), None);
}

#[test]
fn application_memory_is_kept_as_far_as_it_can_be_read() {
    let target = Target::start();
    let start = target.address("application");
    let ranges = [(start, 3 * PAGE), (start + 2 * PAGE + 8, 8), (8, 16)];
    let mut writer = target.writer();
    writer.set_app_memory(ranges.map(|(ptr, length)| AppMemory { ptr, length }).to_vec());
    let dump = Dump::of(&mut writer);
    assert_eq!(dump.bytes_at(start as u64, PAGE), Some(vec![0xa1; PAGE]));
    assert_eq!(dump.bytes_at((start + 2 * PAGE) as u64, PAGE), Some(vec![0xa3; PAGE]));
    assert_eq!(dump.bytes_at((start + PAGE) as u64, 1), None, "nothing is made up for the hole");
    assert_eq!(dump.bytes_at(8, 1), None);
}

#[test]
fn memory_is_read_up_to_the_first_byte_that_is_not_there() {
    let target = Target::start();
    let start = target.address("application");
    let mut reader = MemReader::new(target.pid());
    let length = NonZeroUsize::new(3 * PAGE).unwrap();
    assert_eq!(reader.read_to_vec(start + 8, length).unwrap(), vec![0xa1; PAGE - 8]);
    let mut bytes = [0; 16];
    assert_eq!(reader.read(start + 2 * PAGE, &mut bytes).unwrap(), 16);
    assert_eq!(bytes, [0xa3; 16]);
    let error = reader.read(start + PAGE, &mut bytes).unwrap_err();
    assert_eq!((error.child, error.src, error.offset, error.length), (target.pid(), start + PAGE, 0, 16));
    assert!(reader.read_to_vec(start, NonZeroUsize::MAX).is_err(), "there is no memory for so much");
    assert_eq!(reader.read(start + PAGE, &mut []).unwrap(), 0);
}

#[test]
fn under_a_size_limit_every_thread_keeps_the_end_of_its_stack() {
    const LIMIT: u64 = 256 << 10;
    let target = Target::start();
    let whole = Dump::of(&mut target.writer());
    let mut writer = target.writer();
    writer.set_minidump_size_limit(LIMIT);
    let dump = Dump::of(&mut writer);
    let memory = |dump: &Dump| dump.memory().iter().map(|block| block.size).sum::<u64>();
    assert!(memory(&whole) > 10 * LIMIT, "there is something to cut: {}", memory(&whole));
    assert!(memory(&dump) <= LIMIT, "{}", memory(&dump));
    // A stack that is cut may become two ranges, each with a descriptor of 16 bytes.
    let [size, whole_size] = [&dump, &whole].map(|dump| dump.bytes.len() as u64);
    let fixed = whole_size - memory(&whole) + 16 * dump.memory().iter().count() as u64;
    assert!(size <= LIMIT + fixed, "{size} bytes, of which {fixed} are no memory");
    for (id, registers) in dump.threads() {
        assert!(dump.bytes_at(registers.rsp, 1024).is_some(), "thread {id} has its stack");
    }
}

#[test]
fn only_stacks_that_refer_to_the_principal_mapping_are_kept() {
    let target = Target::start();
    let [secret, referring] = ["secret", "referring"].map(|name| target.threads(name)[0]);
    let mut writer = target.writer();
    // The word on the stack points to the first page of the mapping, this to the second.
    writer.set_principal_mapping_address(target.address("principal") + PAGE);
    let dump = Dump::of(&mut writer);
    assert!(dump.bytes_at(secret.words, 8).is_some(), "the address alone changes nothing");

    let dump = Dump::of(writer.skip_stacks_if_mapping_unreferenced());
    assert_eq!(
        dump.words_at(referring.words, FRAME).map(|words| words[0]),
        Some(target.address("principal") as u64 + 16)
    );
    assert_eq!(dump.bytes_at(secret.words, 1), None);
    assert!(target.threads("deep").iter().all(|thread| dump.bytes_at(thread.words, 1).is_none()));
    let (blamed, registers) = dump.threads()[0].clone();
    assert_eq!(blamed, target.pid());
    assert!(dump.bytes_at(registers.rsp, 256).is_some(), "the blamed thread keeps its stack");
}

#[test]
fn any_address_of_a_module_stands_for_all_of_it() {
    let target = Target::start();
    let modules = Dump::of(&mut target.writer()).modules();
    let program = modules.iter().find(|module| module.code_file().contains("documented_api")).unwrap();
    let mut writer = target.writer();
    // The file header; what the stacks refer to is code.
    writer.set_principal_mapping_address(usize::try_from(program.base_address()).unwrap());
    let dump = Dump::of(writer.skip_stacks_if_mapping_unreferenced());
    for thread in [target.threads("secret"), target.threads("deep")].concat() {
        assert!(dump.words_at(thread.words, FRAME).is_some(), "{thread:?} was called by the program");
    }
}

#[test]
fn without_a_principal_mapping_no_stack_refers_to_it() {
    let target = Target::start();
    let dump = Dump::of(target.writer().skip_stacks_if_mapping_unreferenced());
    for thread in [target.threads("secret"), target.threads("referring"), target.threads("deep")].concat() {
        assert_eq!(dump.bytes_at(thread.words, 1), None, "{thread:?}");
    }
    let registers = dump.threads()[0].1.clone();
    assert!(dump.bytes_at(registers.rsp, 256).is_some(), "the blamed thread keeps its stack");
}

#[test]
fn sanitised_stacks_keep_pointers_and_small_numbers_and_nothing_else() {
    let target = Target::start();
    let plain = Dump::of(&mut target.writer());
    let dump = Dump::of(target.writer().sanitize_stack());
    let secret = target.threads("secret")[0];
    assert_eq!(dump.words_at(secret.words, FRAME), Some(vec![MARKER; FRAME]));
    for (index, thread) in (0_u64..).zip(target.threads("deep")) {
        let word = dump.words_at(thread.words, 1).unwrap()[0];
        assert!(word < DEEP_THREADS, "{index}: {word:#x}");
    }
    let is_secret = |bytes: &[u8]| bytes == SECRET.to_le_bytes();
    let holds = |dump: &Dump| dump.memory().iter().any(|block| block.bytes.windows(8).any(is_secret));
    assert!(holds(&plain) && !holds(&dump));
    for thread in [target.threads("secret"), target.threads("referring"), target.threads("deep")].concat() {
        assert_return_addresses_stay(&plain, &dump, thread.words + 8 * FRAME as u64);
    }
}

/// What points into a module on a plain stack still does so on the sanitised one. At `callers` are the frames of the
/// functions that called the waiting one.
fn assert_return_addresses_stay(plain: &Dump, dump: &Dump, callers: u64) {
    let modules = plain.modules();
    let [before, after] = [plain, dump].map(|dump| dump.words_at(callers, 2 * FRAME).unwrap());
    let pointers =
        before.iter().zip(&after).filter(|(before, _)| modules.module_at_address(**before).is_some());
    let pointers: Vec<_> = pointers.collect();
    assert!(!pointers.is_empty(), "the waiting function has been called by something");
    assert!(pointers.iter().all(|(before, after)| before == after), "{pointers:x?}");
}
