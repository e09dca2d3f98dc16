//! What dumps of Apple's systems tell besides: texts of libraries, arguments of the kernel, the address mask, and, in dumps of
//! this program, what no other stream has a field for.

use super::streams::Streams;
use super::system;
use crate::convert::words::{u32_at, u64_at, until_nul};
use crate::snapshot::{AppleFacts, CrashInfo, Snapshot};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_formats::apple_record::AppleRecord;
use minidump_formats::minidump::APPLE_FACTS_STREAM;

/// Offsets of the first location of a record in `MDRawMacCrashInfo`, and most records.
const RECORDS: usize = 12;
const MAX_RECORDS: usize = 20;
/// Longest record that is read: five texts of 8 KiB.
const MAX_RECORD: u32 = 64 << 10;
/// Longest record that is read: 16,000 modules take less than a tenth.
const MAX_OWN_RECORD: usize = 64 << 20;
/// First version that tells an abort cause.
const WITH_ABORT_CAUSE: u64 = 5;
/// Offset of the address mask in `MinidumpCrashpadInfo`.
const ADDRESS_MASK: usize = 56;

/// Reads what other writers tell, too.
pub fn facts(streams: &Streams<'_>) -> AppleFacts {
    let crashpad = streams.get(MINIDUMP_STREAM_TYPE::CrashpadInfoStream.into()).unwrap_or_default();
    AppleFacts {
        os_build: system::os_build(streams),
        address_bits: u64_at(&crashpad, ADDRESS_MASK).and_then(address_bits),
        crash_info: crash_info(streams).unwrap_or_default(),
        boot_args: boot_args(streams),
        ..AppleFacts::default()
    }
}

/// Adds what only this program tells. A record that is damaged is as good as none.
pub fn restore(streams: &Streams<'_>, snapshot: &mut Snapshot) {
    let bytes = streams.get(APPLE_FACTS_STREAM).filter(|bytes| bytes.len() <= MAX_OWN_RECORD);
    let decode = |bytes: Vec<u8>| AppleRecord::decode(&bytes, |json| serde_json::from_slice(json).ok());
    if let Some(record) = bytes.and_then(decode) {
        record.restore(snapshot);
    }
}

/// How many bits `mask` leaves to an address; `None` when these are not the lowest ones.
fn address_bits(mask: u64) -> Option<u8> {
    let bits = mask.trailing_zeros();
    let is_plain = (1..64).contains(&bits) && mask == u64::MAX << bits;
    u8::try_from(bits).ok().filter(|_| is_plain)
}

fn crash_info(streams: &Streams<'_>) -> Option<Vec<CrashInfo>> {
    let header = streams.get(MINIDUMP_STREAM_TYPE::MozMacosCrashInfoStream.into())?;
    let count = usize::try_from(u32_at(&header, 4)?).ok()?.min(MAX_RECORDS);
    let fixed = usize::try_from(u32_at(&header, 8)?).ok()?;
    let locations = header.get(RECORDS..)?.chunks_exact(8).take(count);
    let record = |location: &[u8]| {
        let record = streams.at(u32_at(location, 4)?, u32_at(location, 0)?, MAX_RECORD)?;
        crash_info_of(&record, fixed)
    };
    Some(locations.filter_map(record).collect())
}

/// A record whose texts begin behind `fixed` bytes. Texts that are cut off are empty.
fn crash_info_of(record: &[u8], fixed: usize) -> Option<CrashInfo> {
    let mut rest = record.get(fixed..)?;
    let mut text = || {
        let text = until_nul(rest).to_vec();
        rest = rest.get(text.len().saturating_add(1)..).unwrap_or_default();
        text
    };
    let version = u64_at(record, 8)?;
    let [module_path, message, signature, backtrace, message2] = [text(), text(), text(), text(), text()];
    Some(CrashInfo {
        module_path,
        version,
        thread: u64_at(record, 16).filter(|_| fixed >= 24).unwrap_or(0),
        dialog_mode: u64_at(record, 24).filter(|_| fixed >= 32).unwrap_or(0),
        abort_cause: u64_at(record, 32).filter(|_| fixed >= 40 && version >= WITH_ABORT_CAUSE),
        message,
        signature,
        backtrace,
        message2,
    })
}

fn boot_args(streams: &Streams<'_>) -> Option<String> {
    let header = streams.get(MINIDUMP_STREAM_TYPE::MozMacosBootargsStream.into())?;
    streams.string(u64_at(&header, 4)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mask_of_the_upper_bits_tells_how_many_there_are() {
        assert_eq!(address_bits(0xffff_8000_0000_0000), Some(47));
        assert_eq!(address_bits(1 << 63), Some(63));
        for mask in [0, u64::MAX, 0x00ff_8000_0000_0000, 0xffff_8000_0000_0001] {
            assert_eq!(address_bits(mask), None, "{mask:#x}");
        }
    }

    #[test]
    fn a_record_that_is_cut_off_keeps_what_is_there() {
        let mut record = [0_u64, 4, 7, 1].map(u64::to_le_bytes).concat();
        record.extend_from_slice(b"/usr/lib/a\0abort() called");
        let info = crash_info_of(&record, 32).unwrap();
        assert_eq!((info.thread, info.dialog_mode, info.abort_cause), (7, 1, None));
        assert_eq!(
            (info.module_path.as_slice(), info.message.as_slice()),
            (&b"/usr/lib/a"[..], &b"abort() called"[..])
        );
        assert_eq!(info.message2, b"");
        assert!(crash_info_of(&record, 1000).is_none());
        assert!(crash_info_of(&[], 0).is_none());
    }
}
