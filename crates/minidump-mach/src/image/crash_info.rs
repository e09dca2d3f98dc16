use super::Image;
use crate::bytes::u64_at;
use crate::memory::TaskMemory;
use minidump_snapshot::{CrashInfo, SoftError, Stage};

/// Most bytes of each text.
const MOST_TEXT: usize = 4096;

/// Most images whose texts are kept: mostly none or one has any.
const MOST_INFOS: usize = 64;

/// Bytes of `crashreporter_annotations_t` in version 4; version 5 has eight more.
const SIZE: u64 = 56;

/// What the images left for crash reports, those that left nothing aside.
pub fn crash_infos(images: &[Image], memory: &TaskMemory<'_>, errors: &mut Vec<SoftError>) -> Vec<CrashInfo> {
    let mut found = Vec::new();
    for image in images {
        let Some((address, size)) = image.crash_info else { continue };
        if found.len() == MOST_INFOS {
            let message = format!("the crash information of more than {MOST_INFOS} images was left out");
            errors.push(SoftError::new(Stage::Module, message));
            break;
        }
        match read(image, (address, size), memory) {
            Ok(info) => found.extend(info),
            Err(message) => errors.push(SoftError::new(Stage::Module, message).range(address, size)),
        }
    }
    found
}

/// The structure is {u64 version; char *message, *signature_string, *backtrace, *message2; u64 thread, dialog_mode;
/// from version 5 on u64 abort_cause}.
fn read(
    image: &Image,
    (address, size): (u64, u64),
    memory: &TaskMemory<'_>,
) -> Result<Option<CrashInfo>, String> {
    let name = String::from_utf8_lossy(&image.path);
    let wanted = size.clamp(SIZE, SIZE + 8);
    let bytes = memory.read_vec(address, usize::try_from(wanted).unwrap_or_default());
    let bytes = bytes.map_err(|error| format!("the crash information of {name} cannot be read: {error}"))?;
    let field = |index: usize| u64_at(&bytes, index.saturating_mul(8)).unwrap_or_default();
    let version = field(0);
    let texts = [1, 2, 3, 4].map(field);
    let abort_cause = (version >= 5).then(|| u64_at(&bytes, 56)).flatten();
    // Every library of the system has the structure; hardly any fills it.
    if texts == [0; 4] && abort_cause.unwrap_or_default() == 0 {
        return Ok(None);
    }
    if !matches!(version, 4..=7) {
        return Err(format!("the crash information of {name} has the unknown version {version}"));
    }
    let [message, signature, backtrace, message2] = texts.map(|address| text(address, memory));
    let module_path = image.path.clone();
    let (thread, dialog_mode) = (field(5), field(6));
    Ok(Some(CrashInfo {
        module_path,
        version,
        thread,
        dialog_mode,
        abort_cause,
        message,
        signature,
        backtrace,
        message2,
    }))
}

fn text(address: u64, memory: &TaskMemory<'_>) -> Vec<u8> {
    if address == 0 {
        return Vec::new();
    }
    memory.read_string(address, MOST_TEXT).map(|(text, _)| text).unwrap_or_default()
}
