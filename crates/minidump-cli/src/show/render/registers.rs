//! The registers of the blamed thread, three a line.

use super::super::model::{Register, Thread};
use super::Page;

/// Under a heading.
pub(super) fn blamed(page: &mut Page, thread: &Thread) {
    page.gap();
    page.line(&format!("registers of thread {}", thread.id));
    lines(page, thread.registers.as_deref().unwrap_or_default());
}

/// As wide as the instruction pointer's architecture has them.
pub(super) fn lines(page: &mut Page, registers: &[Register]) {
    let is_narrow = registers.iter().any(|register| register.name == "eip");
    let digits = if is_narrow { 10 } else { 18 };
    for line in registers.chunks(3) {
        let one = |register: &Register| format!("{:>6} {:#0digits$x}", register.name, register.value.0);
        page.line(&format!("  {}", line.iter().map(one).collect::<Vec<_>>().join("  ")));
    }
}
