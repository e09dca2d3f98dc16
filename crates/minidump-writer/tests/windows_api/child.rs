//! The process to dump: this test program again, with a thread that crashed and one that waits.

use std::arch::asm;
use std::ffi::c_void;
use std::io::{Read as _, Write as _};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, CONTEXT, EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS, EXCEPTION_RECORD,
};
use windows_sys::Win32::System::Threading::{ExitProcess, GetCurrentThreadId};

/// Tells the program that it is to be the target.
pub const SWITCH: &str = "BE_THE_TARGET";
/// Where it writes to, and nothing is.
pub const FAULT_ADDRESS: u64 = 0x18;
/// What R12 holds when it does.
pub const CRASH_R12: u64 = 0x1212_3434_5656_7878;
/// Its access violation.
pub const ACCESS_VIOLATION: u32 = 0xc000_0005;

/// Reports facts, then waits to be ended. Does nothing when the tests run it as one of them.
#[test]
#[ignore = "the process that the tests dump"]
fn target() {
    if std::env::var_os(SWITCH).is_none() {
        return;
    }
    // SAFETY: the handler is a function for that.
    unsafe { AddVectoredExceptionHandler(1, Some(report_crash)) };
    let (send, parked) = channel();
    thread::spawn(move || park(&send));
    println!("\nparked {}", parked.recv().unwrap());
    println!("forged {}", forged_pointers());
    // Ends when the tests let go of it.
    thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        // SAFETY: nothing of the process is needed any more.
        unsafe { ExitProcess(0) };
    });
    thread::spawn(crash).join().unwrap();
}

fn park(id: &Sender<u32>) {
    // SAFETY: no preconditions.
    id.send(unsafe { GetCurrentThreadId() }).unwrap();
    loop {
        thread::park();
    }
}

/// Pointers to an exception with more parameters than there can be. They are never freed.
fn forged_pointers() -> usize {
    let mut record =
        EXCEPTION_RECORD { ExceptionCode: 0x0bad_c0de, NumberParameters: 1000, ..Default::default() };
    record.ExceptionInformation = std::array::from_fn(|index| 0x100 + index);
    // With an alignment that the structure asks for.
    let place: &mut [u128; size_of::<CONTEXT>() / 16] = Box::leak(Box::new([0; _]));
    let context = place.as_mut_ptr().cast::<CONTEXT>();
    // SAFETY: there is room for it, and zeroes are a valid one.
    unsafe {
        (*context).ContextFlags = 0x10_000b;
        (*context).R12 = CRASH_R12 + 1;
    }
    let pointers =
        EXCEPTION_POINTERS { ExceptionRecord: Box::leak(Box::new(record)), ContextRecord: context };
    std::ptr::from_mut(Box::leak(Box::new(pointers))).expose_provenance()
}

fn crash() {
    // SAFETY: nothing is written there; the handler does not come back.
    unsafe {
        asm!(
            "mov qword ptr [{place}], 1",
            place = in(reg) FAULT_ADDRESS,
            in("r12") CRASH_R12,
        );
    }
}

/// Reports the crash, and stays where it is: the pointers are good no longer than this runs.
unsafe extern "system" fn report_crash(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes pointers that are good.
    let (record, context) = unsafe { (&*(*pointers).ExceptionRecord, &*(*pointers).ContextRecord) };
    if record.ExceptionCode.cast_unsigned() != ACCESS_VIOLATION {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    // SAFETY: no preconditions.
    let thread = unsafe { GetCurrentThreadId() };
    let address = pointers.cast::<c_void>().expose_provenance();
    let mut output = std::io::stdout().lock();
    writeln!(output, "crash {thread} {address} {} {}\nready", context.Rip, context.Rsp).unwrap();
    output.flush().unwrap();
    drop(output);
    loop {
        thread::park();
    }
}
