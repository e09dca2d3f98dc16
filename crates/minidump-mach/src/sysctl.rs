//! What the system says of itself, by name.

use crate::MachTask;
use crate::bytes::{u32_at, u64_at, until_zero};

/// A text; `None` when there is none of that name.
pub fn text(task: &dyn MachTask, name: &str) -> Option<String> {
    let mut bytes = [0; 1024];
    let size = task.sysctl(name, &mut bytes).ok()?;
    let text = until_zero(bytes.get(..size)?);
    Some(String::from_utf8_lossy(text).trim().to_owned())
}

/// A number, of four or eight bytes.
pub fn number(task: &dyn MachTask, name: &str) -> Option<u64> {
    let mut bytes = [0; 8];
    match task.sysctl(name, &mut bytes).ok()? {
        8 => u64_at(&bytes, 0),
        4 => u32_at(&bytes, 0).map(u64::from),
        _ => None,
    }
}
