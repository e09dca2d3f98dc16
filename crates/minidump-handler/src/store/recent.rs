//! Crash-loop damping: how often each program crashed of late, in `recent/HASH.json`.
//!
//! The files are written over under one lock for all of them. A lock that cannot be had in time, or a file that cannot be
//! read or written, never costs a dump: the crash then counts as the first.

use super::files::{open_or_create, open_regular, overwrite, read_limited, remove_regular};
use super::metadata::{MOST_TEXT, short};
use super::{Limits, Store, StoreError, clock, os, room};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long the lock is waited for. It is held for a few file operations.
const LOCK_DEADLINE: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(1);
/// The largest file that is read: [`Limits::MOST_PER_PROGRAM`] times of at most 20 digits, and a name.
const MOST_BYTES: u64 = 1 << 18;
/// Programs that are remembered.
const MOST_PROGRAMS: usize = 1024;

/// Crashes of a program that got no dump because there were too many (see [`Limits::per_program`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damped {
    /// The program.
    pub program: String,
    /// Crashes without a dump since the last one that got one.
    pub dropped: u64,
    /// When the last of them was, in microseconds since 1970.
    pub last_us: u64,
}

/// The contents of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Recent {
    version: u32,
    program: String,
    /// When the dumps within the window were begun, in microseconds since 1970.
    begun_us: Vec<u64>,
    dropped: u64,
    last_dropped_us: u64,
}

/// Counts a crash. `Err` is [`StoreError::Damped`]: this one shall get no dump.
pub(super) fn admit(store: &Store, program: &str, now_us: u64) -> Result<(), StoreError> {
    let Limits { per_program, window, .. } = store.limits;
    if per_program > Limits::MOST_PER_PROGRAM {
        return Ok(());
    }
    let Some(_lock) = lock(store) else { return Ok(()) };
    let path = path(store, program);
    let mut recent = read(&path, program);
    let window_us = clock::in_us(window);
    // Times later than now are those of a clock that has been set back: they would damp for ever.
    recent.begun_us.retain(|begun| now_us.checked_sub(*begun).is_some_and(|since| since < window_us));
    let kept = u32::try_from(recent.begun_us.len()).unwrap_or(u32::MAX);
    let damped = kept >= per_program;
    if damped {
        recent.dropped = recent.dropped.saturating_add(1);
        recent.last_dropped_us = now_us;
    } else {
        recent.begun_us.push(now_us);
    }
    write(store, &path, &recent);
    if !damped {
        return Ok(());
    }
    Err(StoreError::Damped { program: program.to_owned(), kept, window, dropped: recent.dropped })
}

/// The number of crashes without a dump, which is set to 0: it is now told elsewhere.
pub(super) fn take_dropped(store: &Store, program: &str) -> u64 {
    let Some(_lock) = lock(store) else { return 0 };
    let path = path(store, program);
    let mut recent = read(&path, program);
    let dropped = std::mem::take(&mut recent.dropped);
    if dropped > 0 {
        write(store, &path, &recent);
    }
    dropped
}

/// Undoes [`take_dropped`].
pub(super) fn give_back(store: &Store, program: &str, dropped: u64) {
    if dropped == 0 {
        return;
    }
    let Some(_lock) = lock(store) else { return };
    let path = path(store, program);
    let mut recent = read(&path, program);
    recent.dropped = recent.dropped.saturating_add(dropped);
    write(store, &path, &recent);
}

/// The programs some of whose crashes have got no dump, by name.
pub(super) fn damped(store: &Store) -> Result<Vec<Damped>, StoreError> {
    let mut all = Vec::new();
    let _lock = lock(store);
    for path in files(store)? {
        let bytes = read_limited(&path, MOST_BYTES).unwrap_or_default();
        let Ok(Recent { program, dropped, last_dropped_us, .. }) = serde_json::from_slice(&bytes) else {
            continue;
        };
        if dropped > 0 {
            all.push(Damped { program, dropped, last_us: last_dropped_us });
        }
    }
    all.sort_by(|a, b| a.program.cmp(&b.program));
    Ok(all)
}

/// Forgets programs that have not crashed for as long as dumps are kept, and those past [`MOST_PROGRAMS`].
pub(super) fn forget(store: &Store, now: SystemTime) -> Result<(), StoreError> {
    let paths = files(store)?;
    let keep = store.limits.age.max(store.limits.window);
    let age = |path: &Path| {
        let written = fs::symlink_metadata(path).and_then(|found| found.modified()).ok();
        written.and_then(|written| now.duration_since(written).ok()).unwrap_or(Duration::ZERO)
    };
    let mut by_age: Vec<(Duration, PathBuf)> = paths.into_iter().map(|path| (age(&path), path)).collect();
    by_age.sort();
    let old = |(rank, (age, _)): &(usize, (Duration, PathBuf))| *age > keep || *rank >= MOST_PROGRAMS;
    let old: Vec<PathBuf> = by_age.into_iter().enumerate().filter(old).map(|(_, (_, path))| path).collect();
    if old.is_empty() {
        return Ok(());
    }
    let Some(_lock) = lock(store) else { return Ok(()) };
    for path in old {
        remove_regular(&path).map_err(StoreError::file("remove", &path))?;
    }
    Ok(())
}

/// The files here whose names are ours.
fn files(store: &Store) -> Result<Vec<PathBuf>, StoreError> {
    let folder = store.layout.recent();
    let entries = fs::read_dir(&folder).map_err(StoreError::file("list", &folder))?;
    let ours = |name: &str| {
        name.strip_suffix(".json")
            .is_some_and(|stem| stem.len() == 16 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let names = entries.take(1 << 20).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| ours(name)).map(|name| folder.join(name)).collect())
}

fn path(store: &Store, program: &str) -> PathBuf {
    store.layout.recent().join(format!("{:016x}.json", hash(program.as_bytes())))
}

/// FNV-1a of 64 bits. Two programs of one hash are told apart by the name in the file.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn read(path: &Path, program: &str) -> Recent {
    let name = short(program.to_owned(), MOST_TEXT);
    let bytes = read_limited(path, MOST_BYTES).unwrap_or_default();
    match serde_json::from_slice(&bytes) {
        Ok(Recent { program, begun_us, dropped, last_dropped_us, .. }) if program == name => {
            Recent { version: 1, program, begun_us, dropped, last_dropped_us }
        }
        _ => Recent { version: 1, program: name, ..Recent::default() },
    }
}

fn write(store: &Store, path: &Path, recent: &Recent) {
    let Ok(bytes) = serde_json::to_vec(recent) else { return };
    // A crash loop on a full disk is to be damped as well.
    let mut unseen = room::MOST_UNSEEN;
    let _ = store.with_room(None, &mut unseen, || overwrite(&open_or_create(path)?, &bytes));
}

/// The lock for all files here, until it is dropped.
struct Guard(File);

impl Drop for Guard {
    fn drop(&mut self) {
        os::unlock(&self.0);
    }
}

/// The lock for all files here; `None` when it cannot be had.
fn lock(store: &Store) -> Option<Guard> {
    let path = store.layout.recent().join("lock");
    let deadline = Instant::now() + LOCK_DEADLINE;
    let file = match os::open_or_create_private(&path) {
        Ok(file) => file,
        // Without room for an empty file there is still the one that another user of the directory has made.
        Err(_) => open_regular(&path, false).ok()?,
    };
    while os::try_lock(&file) == os::Lock::Held {
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Some(Guard(file))
}
