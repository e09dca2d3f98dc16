//! Which thread the dump is about, and why.

use crate::CaptureOptions;
use crate::arch::Arch;
use crate::exception::{CrashedThread, MachCrash, decode, is_named_by};
use crate::thread::{Found, ThreadReader, list};
use minidump_snapshot::{Exception, RegionKind, Snapshot, SoftError, Stage};
use std::collections::BTreeSet;

/// Reads all threads; the blamed one comes first.
pub fn threads(
    reader: &mut ThreadReader<'_>,
    snapshot: &mut Snapshot,
    options: &CaptureOptions,
    crash: Option<&MachCrash>,
    errors: &mut Vec<SoftError>,
) {
    let ports = list(reader.task, errors);
    let crashed = crash.map(|crash| crash.thread);
    // A thread that handles its own crash is what the dump is about.
    let handler = options.handler_thread.filter(|port| crashed != Some(CrashedThread::Port(*port)));
    let ports = ports.into_iter().filter(|port| handler != Some(*port));
    let mut found: Vec<Found> = ports.filter_map(|port| reader.read(port, errors)).collect();
    if let Some(crash) = crash.filter(|_| found.iter().all(|found| !found.crashed)) {
        found.push(reader.recorded(crash, errors));
    }
    let mut seen = BTreeSet::new();
    for Found { thread, .. } in &mut found {
        // Ids are unique in 64 bits, but not always in the lower half of them.
        if !seen.insert(thread.id) {
            thread.id = reader.substitute_id();
        }
        let handle = thread.apple.as_ref().map(|apple| apple.handle).filter(|handle| *handle != 0);
        // That of the main thread lies in the data of a library, which tells nothing of its stack.
        let on_stack =
            |handle: &u64| snapshot.region_at(*handle).is_some_and(|region| region.kind == RegionKind::Stack);
        thread.thread_pointer = handle.filter(on_stack);
    }
    let crashed = found.iter().position(|found| found.crashed);
    let asked = options.blamed_thread.filter(|_| crashed.is_none());
    let named = asked.and_then(|name| {
        let is_asked = |found: &Found| {
            found.thread.apple.as_ref().is_some_and(|apple| apple.id != 0 && is_named_by(apple.id, name))
        };
        let position = found.iter().position(is_asked);
        if position.is_none() {
            let message = format!("the task has no thread {name} (any more); another one is blamed");
            errors.push(SoftError::new(Stage::Target, message));
        }
        position
    });
    // The main thread is the oldest, so that its id is the lowest.
    let oldest = || {
        let known = found.iter().enumerate().filter_map(|(index, found)| {
            found.thread.apple.as_ref().map(|apple| apple.id).filter(|id| *id != 0).map(|id| (id, index))
        });
        known.min().map(|(_, index)| index)
    };
    let blamed = crashed.or(named).or_else(oldest).unwrap_or_default();
    snapshot.threads = found.into_iter().map(|found| found.thread).collect();
    if let Some(front) = snapshot.threads.get_mut(..=blamed) {
        front.rotate_right(1);
    }
    snapshot.blamed_thread = snapshot.threads.first().map(|thread| thread.id);
}

/// Decodes the exception, which is the first thread's.
pub fn exception(snapshot: &mut Snapshot, arch: Arch, crash: Option<&MachCrash>) {
    let Some(exception) = crash.and_then(|crash| crash.exception) else { return };
    let Some(thread) = snapshot.threads.first() else { return };
    let pc = thread.instruction_pointer();
    let decoded = decode(exception, arch, pc);
    snapshot.exception = Some(Exception {
        thread: thread.id,
        code: decoded.code,
        flags: decoded.flags,
        address: decoded.address,
        parameters: decoded.parameters,
    });
}
