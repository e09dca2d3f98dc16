//! `dump PID [-o FILE] [--json]` and no more, read without the definitions of all the other options: to make these takes
//! about a tenth of the time of a small dump.

use super::{
    ContentArguments, DumpArguments, FormatName, MemoryArguments, MemoryName, OutputArguments,
    values::parse_pid,
};
use std::ffi::OsString;
use std::path::PathBuf;

/// The arguments in `words`, which come after `dump`. `None` of whatever is to be judged by the whole definition, wrong
/// words among them.
pub fn read(words: &[OsString]) -> Option<DumpArguments> {
    let (mut pid, mut output, mut json) = (None, None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_str()?;
        match text {
            "--json" if !json => json = true,
            "-o" | "--output" if output.is_none() => output = Some(PathBuf::from(file(words.next()?)?)),
            _ if pid.is_none() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                pid = Some(parse_pid(text).ok()?);
            }
            _ => return None,
        }
    }
    Some(DumpArguments {
        pid: pid?,
        tid: None,
        deadline: None,
        output: OutputArguments { output, format: FormatName::default(), compress: false, show: false, json },
        memory: MemoryArguments {
            mode: MemoryName::default(),
            cow: false,
            size_limit: None,
            app_memory: Vec::new(),
            stacks_referring_to: None,
        },
        contents: ContentArguments {
            sanitize: false,
            omit: Vec::new(),
            keep_environ: false,
            annotate: Vec::new(),
        },
    })
}

/// The name of a file that cannot be taken for an option or for nothing.
fn file(word: &OsString) -> Option<&OsString> {
    let first = word.as_encoded_bytes().first()?;
    (*first != b'-').then_some(word)
}
