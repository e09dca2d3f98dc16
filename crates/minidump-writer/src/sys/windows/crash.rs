//! What a debugger, or a program that crashed, knows of the crash: for [`DumpOptions::crash`](crate::DumpOptions::crash).

use super::memory::ProcessMemory;
use super::open::{Holder, Target};
use super::regions;
use super::registers::{Context, Fields, native, x86};
use crate::snapshot::{CpuState, Crash, Exception, MemorySource};
use crate::{Error, Pid};
use std::sync::Arc;
use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_RECORD;

/// `EXCEPTION_MAXIMUM_PARAMETERS` (winnt.h).
const MOST_PARAMETERS: usize = 15;

/// Sizes of EXCEPTION_RECORD in bytes, of 64-bit and of 32-bit programs.
const RECORD_64: usize = 152;
const RECORD_32: usize = 80;

const NO_POINTERS: &str = "they cannot be read";
const NO_RECORD: &str = "the EXCEPTION_RECORD cannot be read";

/// The crash that a debugger is told of: `record` is that of the exception event of thread `thread`
/// (`DEBUG_EVENT::u.Exception.ExceptionRecord`). The registers of the thread are those of the crash as long as the event
/// has not been continued, so [`Crash::cpu`] is `None`.
#[must_use]
pub fn from_debug_event(thread: u32, record: &EXCEPTION_RECORD) -> Crash {
    let count = usize::try_from(record.NumberParameters).unwrap_or(MOST_PARAMETERS);
    let parameters = record.ExceptionInformation.iter().take(count).map(|value| *value as u64);
    let exception = Exception {
        thread,
        code: record.ExceptionCode.cast_unsigned(),
        flags: record.ExceptionFlags,
        address: record.ExceptionAddress.addr() as u64,
        parameters: parameters.collect(),
    };
    Crash { exception, cpu: None }
}

/// The crash whose EXCEPTION_POINTERS lie at `address` in the memory of process `pid`, which hands them over from its
/// exception handler. They are read as the process has them: 32-bit ones of a 32-bit program, whoever reads them.
///
/// # Errors
/// When the process cannot be opened, or there are no such structures.
pub fn from_exception_pointers(pid: Pid, thread: u32, address: u64) -> Result<Crash, Error> {
    let target = Target::open(pid, Holder::Caller)?;
    let read = if cfg!(target_pointer_width = "32") || target.is_wow64 { read_32 } else { read_64 };
    let (exception, cpu) =
        read(&target, address).map_err(|what| Error::ExceptionPointers { pid: target.pid, address, what })?;
    Ok(Crash { exception: Exception { thread, ..exception }, cpu })
}

fn read_64(target: &Target, address: u64) -> Result<(Exception, Option<CpuState>), &'static str> {
    let pointers: [u8; 16] = bytes(target, address).ok_or(NO_POINTERS)?;
    let record: [u8; RECORD_64] = bytes(target, Fields(&pointers).u64(0)).ok_or(NO_RECORD)?;
    let fields = Fields(&record);
    let exception = Exception {
        thread: 0,
        code: fields.u32(0),
        flags: fields.u32(4),
        address: fields.u64(16),
        parameters: parameters(fields.u32(24), |index| fields.u64(32 + index * 8)),
    };
    Ok((exception, registers_at::<native::Context>(target, Fields(&pointers).u64(8))?))
}

fn read_32(target: &Target, address: u64) -> Result<(Exception, Option<CpuState>), &'static str> {
    let pointers: [u8; 8] = bytes(target, address).ok_or(NO_POINTERS)?;
    let record: [u8; RECORD_32] = bytes(target, Fields(&pointers).u32(0).into()).ok_or(NO_RECORD)?;
    let fields = Fields(&record);
    let exception = Exception {
        thread: 0,
        code: fields.u32(0),
        flags: fields.u32(4),
        address: fields.u32(12).into(),
        parameters: parameters(fields.u32(16), |index| fields.u32(20 + index * 4).into()),
    };
    Ok((exception, registers_at::<x86::Context>(target, Fields(&pointers).u32(4).into())?))
}

/// The first `count` parameters of an exception, at most as many as there can be.
fn parameters(count: u32, at: impl Fn(usize) -> u64) -> Vec<u64> {
    let count = usize::try_from(count).unwrap_or(MOST_PARAMETERS).min(MOST_PARAMETERS);
    (0..count).map(at).collect()
}

/// The registers in the CONTEXT at `address`; `None` when there is no such address.
fn registers_at<C: Context>(target: &Target, address: u64) -> Result<Option<CpuState>, &'static str> {
    if address == 0 {
        return Ok(None);
    }
    let mut context = C::empty();
    if !read_readable(target, address, context.bytes_mut()) {
        return Err("the CONTEXT cannot be read");
    }
    context.is_valid().then(|| Some(context.decode(0))).ok_or("what is in place of the CONTEXT is none")
}

fn bytes<const N: usize>(target: &Target, address: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    read_readable(target, address, &mut bytes).then_some(bytes)
}

/// Fills `buffer`, if all of it lies in memory that may be read without changing anything.
fn read_readable(target: &Target, address: u64, buffer: &mut [u8]) -> bool {
    let regions = regions::query_range(target.handle(), address, buffer.len());
    let memory = ProcessMemory::new(Arc::clone(&target.process), &regions::mapped(&regions));
    memory.read(address, buffer).done == buffer.len()
}
