//! Notes of our own, of the owner [`OWNER`]. Their types are the stream types of the minidump, so a text has the same
//! number in both formats.

use super::note::Notes;
use crate::minidump::{FormatError, HOLE_TABLE_STREAM, HoleLocator};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_snapshot::{
    LinuxFacts, MemoryPlan, Module, ModuleId, Process, Purpose, Snapshot, SoftError, Thread,
};
use scroll::Pwrite;
use serde_json::{Value, json};

/// Owner's name in the notes of our own, with its terminating NUL.
pub const OWNER: &[u8] = b"minidump-writer\0";

/// What could not be captured: a JSON array as in the minidump's stream of this type.
pub const SOFT_ERRORS_NOTE: u32 = 0x4d7a_0004;

/// Where the table of holes lies: a [`HoleLocator`].
pub const HOLE_TABLE_NOTE: u32 = HOLE_TABLE_STREAM;

/// Facts for which cores have no note: a JSON object. It has no memory, no registers and no environment.
pub const FACTS_NOTE: u32 = 0x4d44_0010;

/// Size in bytes of the note with the locator: header, owner, contents.
const LOCATOR_NOTE_SIZE: usize = 12 + 16 + 24;

/// All but the locator of the hole table.
pub(crate) fn own_notes(
    snapshot: &Snapshot,
    plan: &MemoryPlan,
    encoded: &[SoftError],
) -> Result<Vec<u8>, FormatError> {
    let mut notes = Notes::default();
    let errors: Vec<&SoftError> = snapshot.soft_errors.iter().chain(encoded).collect();
    push(&mut notes, SOFT_ERRORS_NOTE, &serde_json::to_vec(&errors)?);
    push(&mut notes, FACTS_NOTE, &serde_json::to_vec(&facts(snapshot, plan)?)?);
    for (kind, text) in snapshot.linux.iter().flat_map(texts) {
        push(&mut notes, kind.into(), text);
    }
    Ok(notes.finish())
}

/// The note that tells where the table of holes lies.
pub(crate) fn locator(table_offset: u64, capacity: u32) -> Result<Vec<u8>, FormatError> {
    let locator = HoleLocator { size_of_info: 24, size_of_entry: 16, table_offset, capacity, reserved: 0 };
    let mut contents = [0; 24];
    contents.pwrite_with(locator, 0, scroll::LE)?;
    let mut notes = Notes::default();
    push(&mut notes, HOLE_TABLE_NOTE, &contents);
    Ok(notes.finish())
}

/// Size in bytes of [`locator`].
pub(crate) fn locator_size(with_holes: bool) -> usize {
    if with_holes { LOCATOR_NOTE_SIZE } else { 0 }
}

/// Texts beyond 4 GiB do not exist; one that did would be left out.
fn push(notes: &mut Notes, kind: u32, contents: &[u8]) {
    notes.push(OWNER, kind, contents);
}

/// The texts of /proc that have no note of their own in Linux' cores. Not the environment, which is full of secrets.
fn texts(facts: &LinuxFacts) -> impl Iterator<Item = (MINIDUMP_STREAM_TYPE, &[u8])> {
    let texts = [
        (MINIDUMP_STREAM_TYPE::LinuxCmdLine, &facts.cmdline),
        (MINIDUMP_STREAM_TYPE::LinuxProcStatus, &facts.status),
        (MINIDUMP_STREAM_TYPE::LinuxLsbRelease, &facts.lsb_release),
        (MINIDUMP_STREAM_TYPE::MozLinuxLimits, &facts.limits),
        (MINIDUMP_STREAM_TYPE::LinuxCpuInfo, &facts.cpu_info),
        (MINIDUMP_STREAM_TYPE::LinuxMaps, &facts.maps),
    ];
    texts.into_iter().filter_map(|(kind, text)| Some((kind, text.as_deref()?)))
}

fn facts(snapshot: &Snapshot, plan: &MemoryPlan) -> Result<Value, FormatError> {
    let full_memory = plan.ranges().iter().any(|range| range.purpose == Purpose::Full);
    let dso_debug = snapshot.linux.as_ref().and_then(|facts| facts.dso_debug.as_ref());
    Ok(json!({
        "version": 1,
        "captured_at_us": snapshot.captured_at_us,
        "blamed_thread": snapshot.blamed_thread,
        "process": process(&snapshot.process),
        "system": serde_json::to_value(&snapshot.system)?,
        "exception": serde_json::to_value(&snapshot.exception)?,
        "threads": snapshot.threads.iter().map(thread).collect::<Vec<_>>(),
        "modules": snapshot.modules.iter().map(module).collect::<Vec<_>>(),
        "annotations": snapshot.annotations,
        "full_memory": full_memory,
        "dso_debug": serde_json::to_value(dso_debug)?,
    }))
}

fn process(process: &Process) -> Value {
    json!({
        "pid": process.pid,
        "parent_pid": process.parent_pid,
        "uid": process.uid,
        "executable": process.executable.as_deref().map(String::from_utf8_lossy),
        "start_us": process.start_time_us,
        "user_us": process.user_time_us,
        "kernel_us": process.kernel_time_us,
    })
}

fn thread(thread: &Thread) -> Value {
    json!({
        "id": thread.id,
        "name": thread.name.as_deref().map(String::from_utf8_lossy),
        "registers": thread.cpu.is_some(),
        "state": thread.state,
        "priority": thread.priority,
        "affinity": thread.affinity,
        "start_us": thread.times.map(|times| times.start_us),
        "user_us": thread.times.map(|times| times.user_us),
        "kernel_us": thread.times.map(|times| times.kernel_us),
        "thread_pointer": thread.thread_pointer,
    })
}

fn module(module: &Module) -> Value {
    let id = module.id.as_ref().map(|id| hexadecimal(id.as_bytes()));
    let is_build_id = matches!(module.id, Some(ModuleId::BuildId(_)));
    json!({
        "base": module.base,
        "size": module.size,
        "path": String::from_utf8_lossy(&module.path),
        "soname": module.soname,
        "version": module.version.map(|version| [version.major, version.minor, version.patch, version.build]),
        "build_id": id.as_ref().filter(|_| is_build_id),
        "text_hash": id.as_ref().filter(|_| !is_build_id),
        "is_main": module.is_main,
        "deleted": module.deleted,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let nibble = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
        digits.extend([nibble(byte >> 4), nibble(byte & 15)]);
    }
    digits
}
