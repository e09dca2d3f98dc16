//! What dumps of Apple's systems tell besides: texts of libraries, dyld's, arguments of the kernel, and of threads what the
//! thread list has no field for.

use super::model::{Address, Apple, AppleThread, CrashText, Fault, SharedCache};
use super::raw_dump::RawDump;
use crate::text;
use minidump::system_info::Os;
use minidump::{MinidumpSystemInfo, MinidumpThreadList};
use minidump_writer::formats::apple_record::AppleRecord;
use minidump_writer::formats::minidump::APPLE_FACTS_STREAM;
use minidump_writer::snapshot::{AppleFacts, Cpu, OperatingSystem, Process, Snapshot, System, Thread};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// Streams of Crashpad and of Mozilla.
const CRASHPAD_INFO: u32 = 0x4350_0001;
const MAC_CRASH_INFO: u32 = 0x4d7a_0001;
const MAC_BOOTARGS: u32 = 0x4d7a_0002;
/// Offset of the address mask in `MinidumpCrashpadInfo`.
const ADDRESS_MASK: usize = 56;
/// Most records of texts, and longest record and text that are read.
const MOST_RECORDS: usize = 20;
const LONGEST_RECORD: u32 = 64 << 10;
/// Longest record of our own that is read: 16,000 modules take less than a tenth.
const LONGEST_OWN: usize = 64 << 20;

/// What there is of a process, and of its threads by id.
#[derive(Default)]
pub struct Found {
    pub process: Option<Apple>,
    pub threads: HashMap<u32, AppleThread>,
}

/// Whether the dump is of one of Apple's systems.
pub fn is_apple(system: &MinidumpSystemInfo) -> bool {
    matches!(system.os, Os::MacOs | Os::Ios)
}

/// Reads it from a little-endian dump, which is also in `file`; nothing when the dump is of another system.
pub fn read(
    dump: &RawDump,
    file: &File,
    system: &MinidumpSystemInfo,
    threads: &MinidumpThreadList,
    warnings: &mut Vec<String>,
) -> Found {
    if !is_apple(system) {
        return Found::default();
    }
    let restored = restored(dump, threads, warnings);
    let facts = restored.apple.unwrap_or_default();
    let threads = restored.threads.iter().filter_map(|thread| Some((thread.id, thread_of(thread)?)));
    let threads = threads.collect();
    let lossy = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
    let process = Apple {
        address_mask: dump
            .get_raw_stream(CRASHPAD_INFO)
            .ok()
            .and_then(|info| u64_at(info, ADDRESS_MASK))
            .map(Address),
        crash_info: crash_texts(dump, file).unwrap_or_default(),
        boot_args: boot_args(dump, file),
        dyld_error: facts.dyld_error.map(lossy),
        bundle_version: facts.bundle_version,
        shared_cache: facts.shared_cache.map(|cache| SharedCache {
            uuid: uuid_text(&cache.uuid),
            base: Address(cache.base),
            slide: Address(cache.slide),
        }),
    };
    Found { process: Some(process), threads }
}

/// A UUID as Apple's tools write it: `01234567-89AB-CDEF-0123-456789ABCDEF`.
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut written = String::with_capacity(36);
    for (index, digit) in text::hex(uuid).to_uppercase().chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            written.push('-');
        }
        written.push(digit);
    }
    written
}

/// A snapshot of nothing but the threads' ids, completed by the record of this program if there is one.
fn restored(dump: &RawDump, threads: &MinidumpThreadList, warnings: &mut Vec<String>) -> Snapshot {
    let system = System {
        os: OperatingSystem::MacOs,
        version: (0, 0, 0),
        description: String::new(),
        cpu: Cpu::Arm64,
        cpu_count: 0,
        cpu_max_mhz: None,
        page_size: 4096,
        build: String::new(),
    };
    let mut snapshot = Snapshot::new(Process::default(), system);
    snapshot.apple = Some(AppleFacts::default());
    snapshot.threads = threads.threads.iter().map(|thread| Thread::new(thread.raw.thread_id)).collect();
    let Ok(bytes) = dump.get_raw_stream(APPLE_FACTS_STREAM) else { return snapshot };
    let decode = |bytes: &[u8]| AppleRecord::decode(bytes, |json| serde_json::from_slice(json).ok());
    match Some(bytes).filter(|bytes| bytes.len() <= LONGEST_OWN).and_then(decode) {
        Some(record) => record.restore(&mut snapshot),
        None => warnings.push(format!("its stream of Apple's facts ({APPLE_FACTS_STREAM:#x}) is unreadable")),
    }
    snapshot
}

fn thread_of(thread: &Thread) -> Option<AppleThread> {
    let apple = thread.apple.as_deref()?;
    let queue = apple.dispatch_queue.as_deref();
    Some(AppleThread {
        id: apple.id,
        dispatch_queue: queue.map(|queue| String::from_utf8_lossy(queue).into_owned()),
        suspend_count: apple.suspend_count,
        fault: apple.fault.map(|fault| Fault {
            address: Address(fault.address),
            syndrome: Address(fault.syndrome.into()),
            number: fault.number,
        }),
    })
}

fn crash_texts(dump: &RawDump, file: &File) -> Option<Vec<CrashText>> {
    let header = dump.get_raw_stream(MAC_CRASH_INFO).ok()?;
    let count = usize::try_from(u32_at(header, 4)?).ok()?.min(MOST_RECORDS);
    let fixed = usize::try_from(u32_at(header, 8)?).ok()?;
    let locations = header.get(12..)?.chunks_exact(8).take(count);
    let records = locations.filter_map(|location| {
        let size = u32_at(location, 0).filter(|size| *size <= LONGEST_RECORD)?;
        crash_text(bytes(file, u32_at(location, 4)?.into(), size)?.get(fixed..)?)
    });
    Some(records.collect())
}

/// Five texts, each up to its NUL: path of the module, message, signature, backtrace, second message.
fn crash_text(texts: &[u8]) -> Option<CrashText> {
    let mut texts = texts.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let module = texts.next()?;
    let mut text = || texts.next().filter(|text| !text.is_empty());
    Some(CrashText { module, message: text(), signature: text(), backtrace: text(), message2: text() })
}

fn boot_args(dump: &RawDump, file: &File) -> Option<String> {
    let rva = u64_at(dump.get_raw_stream(MAC_BOOTARGS).ok()?, 4)?;
    let size = u32_at(&bytes(file, rva, 4)?, 0).filter(|size| *size <= LONGEST_RECORD)?;
    let text = bytes(file, rva.checked_add(4)?, size)?;
    let units: Vec<u16> = text.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    Some(String::from_utf16_lossy(&units))
}

fn bytes(mut file: &File, offset: u64, size: u32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.seek(SeekFrom::Start(offset)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|field| u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes.get(offset..)?.first_chunk().map(|field| u64::from_le_bytes(*field))
}

#[cfg(test)]
mod mach_o;
#[cfg(test)]
mod tests;
