//! What libraries left for crash reports, what the application says of itself, and open files.

use super::bytes::{Decoder, Encoder};
use super::tables::{HANDLE_KINDS, position};
use minidump_snapshot::{CrashInfo, Handle};

/// Most texts of libraries and annotations, and most handles that are read.
const MAX_TEXTS: usize = 1 << 12;
const MAX_HANDLES: usize = 1 << 20;

pub(super) fn crash_info(infos: &[CrashInfo]) -> Encoder {
    let mut to = Encoder::default();
    to.count(infos.len());
    for info in infos {
        for value in [info.version, info.thread, info.dialog_mode] {
            to.number(value);
        }
        to.optional(info.abort_cause);
        let texts = [&info.module_path, &info.message, &info.signature, &info.backtrace, &info.message2];
        for text in texts {
            to.bytes(text);
        }
    }
    to
}

pub(super) fn read_crash_info(from: &mut Decoder<'_>) -> Option<Vec<CrashInfo>> {
    from.list(MAX_TEXTS, |from| {
        let (version, thread, dialog_mode) = (from.number()?, from.number()?, from.number()?);
        let abort_cause = from.optional_number()?;
        let mut text = || from.bytes().map(<[u8]>::to_vec);
        Some(CrashInfo {
            module_path: text()?,
            version,
            thread,
            dialog_mode,
            abort_cause,
            message: text()?,
            signature: text()?,
            backtrace: text()?,
            message2: text()?,
        })
    })
}

pub(super) fn annotations(annotations: &[(String, String)]) -> Encoder {
    let mut to = Encoder::default();
    to.count(annotations.len());
    for (key, value) in annotations {
        to.bytes(key.as_bytes());
        to.bytes(value.as_bytes());
    }
    to
}

pub(super) fn read_annotations(from: &mut Decoder<'_>) -> Option<Vec<(String, String)>> {
    from.list(MAX_TEXTS, |from| Some((from.text()?, from.text()?)))
}

pub(super) fn handles(handles: &[Handle]) -> Encoder {
    let mut to = Encoder::default();
    to.count(handles.len());
    for handle in handles {
        to.number(handle.value);
        to.number(position(&HANDLE_KINDS, &handle.kind));
        to.bytes(&handle.target);
        to.optional(handle.mode.map(Into::into));
        to.optional(handle.open_flags.map(Into::into));
    }
    to
}

pub(super) fn read_handles(from: &mut Decoder<'_>) -> Option<Vec<Handle>> {
    from.list(MAX_HANDLES, |from| {
        let value = from.number()?;
        let kind = *HANDLE_KINDS.get(usize::try_from(from.number()?).ok()?)?;
        let target = from.bytes()?.to_vec();
        Some(Handle { value, kind, target, mode: from.optional_small()?, open_flags: from.optional_small()? })
    })
}
