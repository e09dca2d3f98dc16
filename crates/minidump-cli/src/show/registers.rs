//! The registers of a thread, by architecture.

use super::model::{Address, Register};
use minidump::MinidumpContext;

/// Those that are valid, in the order of the architecture, the instruction pointer among them.
pub fn of(context: &MinidumpContext) -> Vec<Register> {
    let valid = context.valid_registers();
    valid.map(|(name, value)| Register { name: name.into(), value: Address(value) }).collect()
}
