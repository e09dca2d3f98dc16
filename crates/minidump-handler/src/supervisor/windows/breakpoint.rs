//! Exceptions that there are only because a debugger is there. Without one, the program would not have seen them.

use super::process::Process;
use windows_sys::Win32::Foundation::{
    EXCEPTION_BREAKPOINT, NTSTATUS, STATUS_HANDLE_NOT_CLOSABLE, STATUS_INVALID_HANDLE, STATUS_WX86_BREAKPOINT,
};
use windows_sys::Win32::System::Diagnostics::Debug::EXCEPTION_RECORD;

/// Whether the debugger is to answer the exception of thread `tid`, which the program has not seen yet.
pub fn is_for_debuggers(process: &mut Process, tid: u32, record: &EXCEPTION_RECORD) -> bool {
    match record.ExceptionCode {
        EXCEPTION_BREAKPOINT | STATUS_WX86_BREAKPOINT => is_of_loader(process, tid, record.ExceptionCode),
        STATUS_INVALID_HANDLE | STATUS_HANDLE_NOT_CLOSABLE => is_of_kernel(process, record),
        _ => false,
    }
}

/// The loader stops once for a debugger, when it has mapped the libraries and run nothing of the program; in a 32-bit
/// process on 64-bit Windows there are two loaders. It asks the process environment block whether there is a debugger, so
/// it does not stop where that says no in time.
fn is_of_loader(process: &mut Process, tid: u32, code: NTSTATUS) -> bool {
    let is_32_bit = code == STATUS_WX86_BREAKPOINT;
    let is_loading = !process.is_hidden || process.is_loading(is_32_bit);
    tid == process.first_thread && is_loading && process.is_first_breakpoint(is_32_bit)
}

/// The kernel raises these at a call with a bad handle, which without a debugger merely fails (`CloseHandle`, "Remarks"). Not
/// so where the program has asked for it.
fn is_of_kernel(process: &Process, record: &EXCEPTION_RECORD) -> bool {
    record.NumberParameters == 0
        && process.is_in_system_calls(record.ExceptionAddress.addr())
        && !process.is_strict_about_handles()
}
