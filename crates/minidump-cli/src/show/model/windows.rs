//! What only dumps of Windows tell.

use super::{Address, Register};
use serde::Serialize;

/// What only dumps of Windows tell of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// The exception as the system handed it.
    pub exception: Option<ExceptionRecord>,
    /// The second registers of the blamed thread of a 32-bit program, with which the system's own code runs.
    pub native_registers: Option<Vec<Register>>,
    /// `SECURITY_MANDATORY_*_RID`.
    pub integrity_level: Option<u32>,
    /// `MEM_EXECUTE_OPTION_*`.
    pub execute_flags: Option<u32>,
    /// Name of the time zone, of standard time.
    pub time_zone: Option<String>,
    /// Modules that are loaded no more, in the dump's order.
    pub unloaded_modules: Vec<UnloadedModule>,
    /// Open handles; `None` when the dump has no list.
    pub handles: Option<Handles>,
}

/// `EXCEPTION_RECORD`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExceptionRecord {
    /// The code, in hexadecimal.
    pub code: Address,
    /// The flags.
    pub flags: Address,
    /// Where the instruction is.
    pub address: Address,
    /// What else the system told.
    pub parameters: Vec<Address>,
}

/// A module that is loaded no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnloadedModule {
    /// Where its first byte was.
    pub base: Address,
    /// Its size in bytes.
    pub size: u64,
    /// What its file is looked up by: time stamp and size.
    pub code_id: String,
    /// Its file's name.
    pub name: String,
}

/// Open handles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Handles {
    /// How many.
    pub count: u64,
    /// How many of each type of object, the most first.
    pub types: Vec<HandleType>,
}

/// How many handles are to objects of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HandleType {
    /// Name of the type; `None` when it is not known.
    pub name: Option<String>,
    /// How many.
    pub count: u64,
}

/// What only dumps of Windows tell of a thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowsThread {
    /// Its environment block.
    pub teb: Option<Address>,
    /// `GetLastError`, where the block is in the dump.
    pub last_error: Option<u32>,
    /// How often it was suspended before the capture.
    pub suspend_count: u32,
    /// The function it began with.
    pub start_address: Option<Address>,
}
