use crate::minidump::memory_writer::{count, size_of_encoded};
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MAC_CRASH_INFO_STRING_MAX_SIZE, MAC_CRASH_INFOS_MAX, MINIDUMP_LOCATION_DESCRIPTOR,
    MINIDUMP_MAC_CRASH_INFO, MINIDUMP_MAC_CRASH_INFO_RECORD_4, MINIDUMP_MAC_CRASH_INFO_RECORD_5,
    MINIDUMP_STREAM_TYPE,
};
use minidump_snapshot::CrashInfo;

/// What libraries left for crash reports: Mozilla's `MDRawMacCrashInfo`, 172 bytes, and a record for each library.
///
/// All records have the same version, because the stream tells only once how long their fixed parts are: 5 when one of
/// them has an abort cause, else 4.
pub(crate) struct MacCrashInfoSection<'a>(pub &'a [CrashInfo]);

/// The texts of a record, in the order of the file.
fn texts(info: &CrashInfo) -> [&[u8]; 5] {
    [&info.module_path, &info.message, &info.signature, &info.backtrace, &info.message2]
}

/// `text` as far as a reader takes it: UTF-8, up to its first zero, shorter than the most that the format allows.
fn readable(text: &[u8]) -> String {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut readable = String::from_utf8_lossy(text).into_owned();
    let mut end = readable.len().min(MAC_CRASH_INFO_STRING_MAX_SIZE - 1);
    while !readable.is_char_boundary(end) {
        end -= 1;
    }
    readable.truncate(end);
    readable
}

fn has_abort_cause(infos: &[CrashInfo]) -> bool {
    infos.iter().any(|info| info.abort_cause.is_some())
}

/// Whether the stream tells all there is to tell.
pub(crate) fn is_exact(infos: &[CrashInfo]) -> bool {
    let version = if has_abort_cause(infos) { 5 } else { 4 };
    infos.len() <= MAC_CRASH_INFOS_MAX
        && infos.iter().all(|info| {
            info.version == version
                && info.abort_cause.is_some() == (version == 5)
                && texts(info).into_iter().all(|text| readable(text).as_bytes() == text)
        })
}

impl MacCrashInfoSection<'_> {
    fn write_record(
        &self,
        buffer: &mut MemoryWriter,
        info: &CrashInfo,
    ) -> Result<MINIDUMP_LOCATION_DESCRIPTOR, FormatError> {
        buffer.align(8);
        let start = buffer.position();
        let stream_type = self.section_type().into();
        let CrashInfo { thread, dialog_mode, abort_cause, .. } = info;
        let (thread, dialog_mode, abort_cause) = (*thread, *dialog_mode, abort_cause.unwrap_or(0));
        if has_abort_cause(self.0) {
            let version = 5;
            let fixed =
                MINIDUMP_MAC_CRASH_INFO_RECORD_5 { stream_type, version, thread, dialog_mode, abort_cause };
            buffer.write(fixed)?;
        } else {
            let version = 4;
            buffer.write(MINIDUMP_MAC_CRASH_INFO_RECORD_4 { stream_type, version, thread, dialog_mode })?;
        }
        for text in texts(info) {
            buffer.write_bytes(readable(text).as_bytes())?;
            buffer.write(0_u8)?;
        }
        buffer.location_since(start)
    }
}

impl SectionWriter for MacCrashInfoSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let infos = self.0.get(..MAC_CRASH_INFOS_MAX).unwrap_or(self.0);
        buffer.align(8);
        let start = buffer.position();
        let slot = buffer.reserve_array(1)?;
        let location = buffer.location_since(start)?;
        let mut records = [MINIDUMP_LOCATION_DESCRIPTOR::default(); MAC_CRASH_INFOS_MAX];
        for (record, info) in records.iter_mut().zip(infos) {
            *record = self.write_record(buffer, info)?;
        }
        let fixed = if has_abort_cause(self.0) {
            size_of_encoded::<MINIDUMP_MAC_CRASH_INFO_RECORD_5>()
        } else {
            size_of_encoded::<MINIDUMP_MAC_CRASH_INFO_RECORD_4>()
        };
        let header = MINIDUMP_MAC_CRASH_INFO {
            stream_type: self.section_type(),
            record_count: count(infos.len())?,
            record_start_size: count(fixed)?,
            records,
        };
        buffer.fill(&slot, 0, header)?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::MozMacosCrashInfoStream.into()
    }

    fn size_hint(&self) -> usize {
        let texts = self.0.iter().flat_map(texts).map(<[u8]>::len).fold(0_usize, usize::saturating_add);
        texts.saturating_add(256 + 64 * self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_readers_would_refuse_it() {
        assert_eq!(readable(b"abort() called"), "abort() called");
        assert_eq!(readable(b"one\0two"), "one");
        assert_eq!(readable(b"\xff"), "\u{fffd}");
        let long = "\u{1f980}".repeat(3000);
        assert_eq!(readable(long.as_bytes()), "\u{1f980}".repeat(8191 / 4));
    }

    #[test]
    fn what_the_stream_cannot_tell_is_known() {
        let info = CrashInfo { version: 4, message: b"abort() called".to_vec(), ..CrashInfo::default() };
        assert!(is_exact(&[]) && is_exact(&[info.clone(), info.clone()]));
        assert!(!is_exact(&vec![info.clone(); 21]));
        let fifth = CrashInfo { version: 5, abort_cause: Some(1), ..info.clone() };
        assert!(is_exact(std::slice::from_ref(&fifth)));
        assert!(!is_exact(&[info.clone(), fifth.clone()]));
        assert!(!is_exact(&[CrashInfo { version: 7, ..fifth }]));
        assert!(!is_exact(&[CrashInfo { message: b"a\0b".to_vec(), ..info }]));
    }
}
