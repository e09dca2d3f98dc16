//! What is in a dump directory.

use end_to_end::Dump;
use minidump::format::CONTEXT_AMD64;
use minidump::{MinidumpException, MinidumpMiscInfo, MinidumpRawContext, MinidumpSystemInfo};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A dump and what is told of it.
pub struct Kept {
    /// The dump.
    pub dump: Dump,
    /// Its metadata.
    pub metadata: Value,
}

/// The dumps of a directory, oldest first.
#[track_caller]
pub fn all(directory: &Path) -> Vec<Kept> {
    let entries = std::fs::read_dir(directory.join("pending")).into_iter().flatten().flatten();
    let dumps =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "dmp"));
    let mut dumps: Vec<PathBuf> = dumps.collect();
    dumps.sort();
    dumps.iter().map(|path| one(path)).collect()
}

/// The dump at `path`.
#[track_caller]
pub fn one(path: &Path) -> Kept {
    let metadata = std::fs::read(path.with_extension("json")).expect("a dump has metadata");
    let metadata = serde_json::from_slice(&metadata).unwrap();
    Kept { dump: Dump::of(std::fs::read(path).unwrap()), metadata }
}

/// The only dump of a directory.
#[track_caller]
pub fn only(directory: &Path) -> Kept {
    let mut dumps = all(directory);
    assert_eq!(dumps.len(), 1, "one dump in {}", directory.display());
    dumps.remove(0)
}

impl Kept {
    /// The thread that crashed and its registers.
    #[track_caller]
    pub fn crashed(&self) -> (u32, CONTEXT_AMD64) {
        let parsed = self.dump.parse();
        let stream: MinidumpException = parsed.get_stream().expect("there is an exception");
        let system: MinidumpSystemInfo = parsed.get_stream().unwrap();
        let misc = parsed.get_stream::<MinidumpMiscInfo>().ok();
        let context =
            stream.context(&system, misc.as_ref()).expect("the exception has registers").into_owned();
        let MinidumpRawContext::Amd64(context) = context.raw else { panic!("another architecture") };
        (stream.thread_id, context)
    }
}
