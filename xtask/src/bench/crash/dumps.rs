//! The dumps that a round leaves: without one, a way that fails fast would win.

use super::way::Way;
use crate::{
    bench::dump_file,
    shell::{Doing, Outcome},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files of dumps in a folder.
pub fn list(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).doing(format_args!("could not list {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "dmp")).collect())
}

/// The length of the one dump that a round has left, which holds all threads and was written by whom it should.
pub fn check_one(way: Way, folder: &Path, threads: usize) -> Outcome<u64> {
    if way == Way::None {
        return Ok(0);
    }
    let found = list(&way.dumps(folder))?;
    let [dump] = found.as_slice() else {
        return Err(format!("{} left {} dumps of one crash", way.name(), found.len()).into());
    };
    check(dump, threads, way.source()).map_err(|why| format!("{}: {why}", way.name()).into())
}

/// The length of a dump with this many threads.
pub fn check(dump: &Path, threads: usize, source: Option<&str>) -> Result<u64, String> {
    let seen = dump_file::threads(dump)?;
    if usize::try_from(seen) != Ok(threads) {
        return Err(format!("{} holds {seen} of {threads} threads", dump.display()));
    }
    if let Some(source) = source {
        let text = fs::read_to_string(dump.with_extension("json")).map_err(|error| error.to_string())?;
        let metadata: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let is_whole = !metadata.get("partial").and_then(Value::as_bool).unwrap_or(false);
        if metadata.get("source").and_then(Value::as_str) != Some(source) || !is_whole {
            return Err(format!("{} is not a whole dump by the {source}", dump.display()));
        }
    }
    dump_file::size(dump)
}
