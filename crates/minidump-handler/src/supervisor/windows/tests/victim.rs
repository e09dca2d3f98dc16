//! The victim of a test.

use super::{KIND, PLACE, again};
use std::arch::asm;
use std::hint::black_box;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Command;
use std::ptr::{null, without_provenance_mut};
use std::sync::atomic::{AtomicPtr, Ordering};
use windows_sys::Win32::Foundation::{CloseHandle, EXCEPTION_ACCESS_VIOLATION};
use windows_sys::Win32::System::Diagnostics::Debug::{
    AddVectoredExceptionHandler, EXCEPTION_CONTINUE_EXECUTION, EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS,
    IsDebuggerPresent, OutputDebugStringA, OutputDebugStringW, RaiseException,
};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RESERVE, PAGE_READONLY, PAGE_READWRITE, VirtualAlloc, VirtualProtect,
};
use windows_sys::Win32::System::Threading::ExitProcess;

/// What a victim that outlives its supervisor says at first, and the file in which it notes that it did.
pub const READY: &str = "the victim runs";
pub const NOTED: &str = "outlived.txt";

/// Ends as the environment says.
#[test]
fn victim_process() {
    let Ok(kind) = std::env::var(KIND) else { return };
    match kind.as_str() {
        "write" => write(),
        "thread" => std::thread::spawn(write).join().unwrap(),
        "divide" => divide(),
        // SAFETY: ends the process.
        "illegal" => unsafe { asm!("ud2") },
        // SAFETY: ends the process.
        "breakpoint" => unsafe { asm!("int3") },
        "overflow" => drop(overflow(7)),
        // SAFETY: ends the process; the code is FAST_FAIL_FATAL_APP_EXIT (winnt.h).
        "fast-fail" => unsafe { asm!("int 0x29", in("ecx") 7) },
        "abort" => std::process::abort(),
        "raise" => raise(),
        "handled" => handled(),
        // SAFETY: a plain number.
        "exit" => unsafe { ExitProcess(0xdead_beef) },
        "parent" => parent(),
        "look" => look(),
        "text" => text(),
        "outlive" => outlive(),
        other => panic!("{other}"),
    }
    panic!("{kind} was to end the process");
}

fn write() {
    // SAFETY: nothing is there, so the process ends here.
    unsafe { without_provenance_mut::<u8>(0x10).write_volatile(7) };
}

fn divide() {
    // SAFETY: the processor refuses to divide by 0, so the process ends here.
    unsafe { asm!("div {zero:e}", zero = in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) };
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let room = black_box([depth; 512]);
    overflow(depth + 1) + room.iter().sum::<u64>()
}

fn raise() {
    let parameters = [0x1993_0520, 2, 3];
    // SAFETY: as many parameters as told. The code is that of a `throw` in C++ (ehdata.h), which may not be continued (1).
    unsafe { RaiseException(0xe06d_7363, 1, 3, parameters.as_ptr()) };
}

/// A page that may not be written to until somebody has tried.
static PAGE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

/// Handles faults of memory and breakpoints, as virtual machines do.
fn handled() {
    // SAFETY: the handler is a function, and the page is this function's own.
    unsafe {
        assert!(!AddVectoredExceptionHandler(1, Some(handle)).is_null());
        let page = VirtualAlloc(null(), 4096, MEM_COMMIT | MEM_RESERVE, PAGE_READONLY).cast::<u8>();
        PAGE.store(page, Ordering::SeqCst);
        for number in 0..100 {
            page.add(number).write_volatile(9);
            assert_eq!(page.add(number).read_volatile(), 9);
            assert_ne!(VirtualProtect(page.cast(), 4096, PAGE_READONLY, &mut 0), 0);
        }
        RaiseException(0xe000_1234, 0, 0, null());
        ExitProcess(42)
    }
}

unsafe extern "system" fn handle(told: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system hands over a live structure.
    let record = unsafe { &*(*told).ExceptionRecord };
    let page = PAGE.load(Ordering::SeqCst);
    if record.ExceptionCode == EXCEPTION_ACCESS_VIOLATION
        && record.ExceptionInformation[1].abs_diff(page.addr()) < 4096
    {
        // SAFETY: the page is there.
        unsafe { VirtualProtect(page.cast(), 4096, PAGE_READWRITE, &mut 0) };
        return EXCEPTION_CONTINUE_EXECUTION;
    }
    let is_own = record.ExceptionCode.cast_unsigned() == 0xe000_1234;
    if is_own { EXCEPTION_CONTINUE_EXECUTION } else { EXCEPTION_CONTINUE_SEARCH }
}

/// Starts a child that crashes, and ends in good order.
fn parent() {
    let words = again("victim::victim_process");
    let status = Command::new(&words[0]).args(&words[1..]).env(KIND, "write").status().unwrap();
    let code = if status.code() == Some(0xc000_0005_u32.cast_signed()) { 7 } else { 8 };
    // SAFETY: a plain number.
    unsafe { ExitProcess(code) };
}

/// Looks for what differs below a debugger. The exit code tells what was found first.
fn look() {
    // SAFETY: calls without arguments, and of a handle that there is not.
    let code = unsafe {
        if IsDebuggerPresent() != 0 && !super::super::process::is_wine() {
            1
        } else if CloseHandle(without_provenance_mut(0xdead_0004)) != 0 {
            2
        } else if std::env::vars_os().any(|(name, _)| name == "_NO_DEBUG_HEAP") {
            3
        } else {
            0
        }
    };
    // SAFETY: a plain number.
    unsafe { ExitProcess(code) };
}

fn text() {
    let wide: Vec<u16> = "größe\n".encode_utf16().chain([0]).collect();
    for _ in 0..50 {
        // SAFETY: NUL-terminated texts.
        unsafe {
            OutputDebugStringA(c"text\n".as_ptr().cast());
            OutputDebugStringW(wide.as_ptr());
        }
    }
    // SAFETY: a plain number.
    unsafe { ExitProcess(3) };
}

fn outlive() {
    println!("\n{READY}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let place = PathBuf::from(std::env::var_os(PLACE).unwrap());
    std::fs::write(place.join(NOTED), b"still here").unwrap();
    // SAFETY: a plain number.
    unsafe { ExitProcess(0) };
}
