//! What only dumps of Windows tell, as text for people.

use super::super::model::{Handles, Thread, UnloadedModule, Windows};
use super::{Page, registers};
use crate::text::counted;

/// Types of handles that are told by name.
const MOST_TYPES: usize = 6;
/// `SECURITY_MANDATORY_*_RID` (winnt.h).
const LEVELS: [(u32, &str); 7] = [
    (0, "untrusted"),
    (0x1000, "low"),
    (0x2000, "medium"),
    (0x2100, "medium plus"),
    (0x3000, "high"),
    (0x4000, "system"),
    (0x5000, "protected process"),
];

/// The exception as the system handed it.
pub(super) fn exception(page: &mut Page, windows: &Windows) {
    let Some(record) = &windows.exception else { return };
    let (code, flags, address) = (record.code.0, record.flags.0, record.address.0);
    let parameters: Vec<String> =
        record.parameters.iter().map(|parameter| format!("{:#x}", parameter.0)).collect();
    let parameters =
        if parameters.is_empty() { String::new() } else { format!(", parameters {}", parameters.join(" ")) };
    page.fact("exception", &format!("{code:#010x}, flags {flags:#x}, instruction {address:#x}{parameters}"));
}

/// What only dumps of Windows tell of the process.
pub(super) fn process(page: &mut Page, windows: &Windows) {
    let mut parts = Vec::new();
    parts.extend(windows.integrity_level.map(|level| format!("integrity {}", integrity(level))));
    parts.extend(windows.time_zone.as_ref().map(|zone| format!("time zone {zone}")));
    if !parts.is_empty() {
        page.fact("security", &parts.join(", "));
    }
    if let Some(handles) = &windows.handles {
        page.fact("handles", &told(handles));
    }
}

fn integrity(level: u32) -> String {
    let known = LEVELS.iter().find(|(known, _)| *known == level);
    known.map_or_else(|| format!("{level:#x}"), |(_, name)| (*name).to_owned())
}

/// `34: 12 File, 10 Event, 12 of other types`
fn told(handles: &Handles) -> String {
    let named = handles.types.iter().take(MOST_TYPES);
    let mut parts: Vec<String> = named
        .map(|kind| format!("{} {}", kind.count, kind.name.as_deref().unwrap_or("of unknown type")))
        .collect();
    let rest: u64 = handles.types.iter().skip(MOST_TYPES).map(|kind| kind.count).sum();
    if rest > 0 {
        parts.push(format!("{rest} of other types"));
    }
    let count = counted(handles.count, "handle");
    if parts.is_empty() { count } else { format!("{count}: {}", parts.join(", ")) }
}

/// The last error, and what was suspended before.
pub(super) fn thread(thread: &Thread) -> Option<String> {
    let windows = thread.windows.as_ref()?;
    let mut parts = Vec::new();
    parts.extend(windows.last_error.filter(|error| *error != 0).map(|error| format!("last error {error}")));
    if windows.suspend_count > 0 {
        parts.push(format!("suspended {}", counted(windows.suspend_count.into(), "time")));
    }
    (!parts.is_empty()).then(|| format!("  {}: {}", thread.id, parts.join(", ")))
}

/// The registers of the blamed thread; of a 32-bit program both of them.
pub(super) fn blamed(page: &mut Page, windows: &Windows, threads: &[Thread]) {
    let Some(thread) = threads.iter().find(|thread| thread.blamed) else { return };
    registers::blamed(page, thread);
    if let Some(native) = &windows.native_registers {
        page.gap();
        page.line(&format!("64-bit registers of thread {}", thread.id));
        registers::lines(page, native);
    }
}

/// Modules that are loaded no more.
pub(super) fn unloaded(page: &mut Page, modules: &[UnloadedModule]) {
    if modules.is_empty() {
        return;
    }
    page.gap();
    page.line(&format!("{} unloaded", counted(modules.len() as u64, "module")));
    for module in modules {
        let size = format!("{:#x}", module.size);
        page.line(&format!("  {:#014x} {size:>10} {} {}", module.base.0, module.code_id, module.name));
    }
}
