//! The `EXCEPTION_POINTERS` of a process that crashed, looked at before the system's dumper follows them: that makes no dump at
//! all of pointers that lead nowhere.

use super::cause::Record;
use super::context::Context;
use super::process::Process;
use std::io;
use windows_sys::Win32::System::Diagnostics::Debug::{CONTEXT, EXCEPTION_POINTERS, EXCEPTION_RECORD};

/// `EXCEPTION_MAXIMUM_PARAMETERS`
const MOST_PARAMETERS: u32 = 15;
/// What `CONTEXT_XSTATE` has besides the processor's bit: more registers behind the structure.
const XSTATE_BIT: u32 = 0x40;

/// What the pointers are good for.
pub enum Crash {
    /// The system's dumper can follow them.
    InPlace,
    /// It had better not, but this is what they point at.
    Copied(Record, Box<Context>),
}

/// Follows the pointers at `address` of `process`. The error says why they are good for nothing.
pub fn look_at(process: &Process, address: u64) -> Result<Crash, String> {
    if !process.has_pointers_as_here() {
        return Err(
            "the pointers are those of a 32-bit program and this is a 64-bit one, or the other way round"
                .into(),
        );
    }
    let unreadable = |what: &str, error: io::Error| format!("the {what} cannot be read: {error}");
    // SAFETY: any bytes are a valid value of this structure; what it points at is only read by the system.
    let pointers: EXCEPTION_POINTERS =
        unsafe { read(process, address) }.map_err(|error| unreadable("exception pointers", error))?;
    // SAFETY: any bytes are a valid value of this structure.
    let record: EXCEPTION_RECORD = unsafe { read(process, pointers.ExceptionRecord.addr() as u64) }
        .map_err(|error| unreadable("exception record", error))?;
    let mut context = Context::boxed();
    // SAFETY: any bytes are a valid value of this structure.
    context.0 = unsafe { read::<CONTEXT>(process, pointers.ContextRecord.addr() as u64) }
        .map_err(|error| unreadable("registers of the crash", error))?;
    if record.NumberParameters <= MOST_PARAMETERS {
        return Ok(Crash::InPlace);
    }
    // There is room for 15 in a minidump, and who knows whether dbghelp looks at the number.
    let copy = Record {
        code: record.ExceptionCode,
        flags: record.ExceptionFlags,
        address: record.ExceptionAddress.addr(),
        parameter_count: MOST_PARAMETERS,
        parameters: record.ExceptionInformation,
    };
    context.0.ContextFlags &= !XSTATE_BIT;
    Ok(Crash::Copied(copy, context))
}

/// # Safety
/// Any bytes are a valid `T`.
unsafe fn read<T: Default>(process: &Process, address: u64) -> io::Result<T> {
    let mut value = T::default();
    // SAFETY: these are the bytes of `value`, which the caller says may have any values.
    let bytes = unsafe { std::slice::from_raw_parts_mut((&raw mut value).cast::<u8>(), size_of::<T>()) };
    process.read(address, bytes)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(parameters: u32) -> EXCEPTION_RECORD {
        let mut record =
            EXCEPTION_RECORD { ExceptionCode: -5, NumberParameters: parameters, ..Default::default() };
        record.ExceptionAddress = std::ptr::without_provenance_mut(0x1234);
        record.ExceptionInformation = std::array::from_fn(|index| index + 1);
        record
    }

    fn look(record: *mut EXCEPTION_RECORD, context: *mut CONTEXT) -> Result<Crash, String> {
        let pointers = EXCEPTION_POINTERS { ExceptionRecord: record, ContextRecord: context };
        look_at(&Process::Own, (&raw const pointers).addr() as u64)
    }

    #[test]
    fn pointers_that_are_good_are_left_to_the_system() {
        let (mut record, mut context) = (record(15), Context::boxed());
        assert!(matches!(look(&raw mut record, &raw mut context.0), Ok(Crash::InPlace)));
    }

    #[test]
    fn of_too_many_parameters_those_are_kept_that_there_is_room_for() {
        let (mut record, mut context) = (record(u32::MAX), Context::boxed());
        context.0.ContextFlags |= XSTATE_BIT;
        let Ok(Crash::Copied(copy, registers)) = look(&raw mut record, &raw mut context.0) else {
            panic!("they were left to the system");
        };
        assert_eq!((copy.code, copy.address, copy.parameter_count), (-5, 0x1234, 15));
        assert_eq!(copy.parameters, std::array::from_fn(|index| index + 1));
        assert_eq!(registers.0.ContextFlags, Context::boxed().0.ContextFlags);
    }

    #[test]
    fn pointers_that_lead_nowhere_are_told_apart() {
        let mut record = record(0);
        let error = look(std::ptr::without_provenance_mut(0x18), std::ptr::null_mut()).err().unwrap();
        assert!(error.starts_with("the exception record cannot be read: "), "{error}");
        let error = look(&raw mut record, std::ptr::without_provenance_mut(0x18)).err().unwrap();
        assert!(error.starts_with("the registers of the crash cannot be read: "), "{error}");
        let error = look_at(&Process::Own, u64::MAX).err().unwrap();
        assert!(error.starts_with("the exception pointers cannot be read: "), "{error}");
    }
}
