//! Faults of the processor.

use super::{Kind, Setting::Parked, here};
use crate::sys;
use libc::{PROT_READ, PROT_WRITE};
use std::arch::asm;
use std::hint::black_box;

/// Nothing is mapped there.
const NOWHERE: u64 = 0x4141_4141_4000;
/// Bits 48 to 63 differ from bit 47.
const NON_CANONICAL: u64 = 0xdead_beef_dead_bee8;

/// Bytes that are code, in memory that is not.
static DATA: [u8; 16] = [0xc3; 16];

pub const KINDS: &[Kind] = &[
    ("null", Parked, crash_here_null),
    ("wild-write", Parked, crash_here_wild_write),
    ("read-only", Parked, crash_here_read_only),
    ("wild-jump", Parked, crash_here_wild_jump),
    ("jump-null", Parked, crash_here_jump_null),
    ("non-executable", Parked, crash_here_non_executable),
    ("int3", Parked, crash_here_int3),
    ("ud2", Parked, crash_here_ud2),
    ("divide", Parked, crash_here_divide),
    ("bus", Parked, crash_here_bus),
    ("general-protection", Parked, crash_here_general_protection),
    ("bad-sp", Parked, crash_here_bad_sp),
    ("bad-sp-high", Parked, crash_here_bad_sp_high),
];

/// Reads eight bytes at `address`, in the calling function.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it shall happen in the function that is named for it")]
pub fn read(address: u64) {
    // SAFETY: a load changes nothing. Where it faults the program shall die.
    unsafe { asm!("mov {0}, qword ptr [{0}]", inout(reg) address => _, options(nostack)) };
}

/// Calls what is not a function, in the calling function.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it shall happen in the function that is named for it")]
fn call(address: u64) {
    // SAFETY: the call faults before it does anything but push its return address.
    unsafe { asm!("call {0}", in(reg) address, clobber_abi("C")) };
}

/// Kills the calling thread with a load from address 0. For kinds whose point lies elsewhere.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it shall happen in the function that is named for it")]
pub fn null() {
    here().number("address", 0u64).print();
    read(0);
}

#[inline(never)]
fn crash_here_null() {
    null();
}

#[inline(never)]
fn crash_here_wild_write() {
    here().number("address", NOWHERE).print();
    // SAFETY: nothing is there that could be overwritten.
    unsafe { asm!("mov qword ptr [{0}], {0}", in(reg) NOWHERE, options(nostack)) };
}

#[inline(never)]
fn crash_here_read_only() {
    let address = sys::map_anonymous(4096, PROT_READ) as u64 + 8;
    here().number("address", address).print();
    // SAFETY: the page is ours and may not be written to.
    unsafe { asm!("mov qword ptr [{0}], {0}", in(reg) address, options(nostack)) };
}

#[inline(never)]
fn crash_here_wild_jump() {
    here().number("address", NOWHERE).print();
    call(NOWHERE);
    black_box(NOWHERE);
}

#[inline(never)]
fn crash_here_jump_null() {
    here().number("address", 0u64).print();
    call(0);
    black_box(NOWHERE);
}

#[inline(never)]
fn crash_here_non_executable() {
    let address = DATA.as_ptr() as u64;
    here().number("address", address).print();
    call(address);
    black_box(address);
}

#[inline(never)]
fn crash_here_int3() {
    here().print();
    // SAFETY: a trap that nobody waits for ends the program.
    unsafe { asm!("int3", options(nostack)) };
}

#[inline(never)]
fn crash_here_ud2() {
    here().print();
    // SAFETY: the program shall die here.
    unsafe { asm!("ud2", options(nostack)) };
}

#[inline(never)]
fn crash_here_divide() {
    here().print();
    // SAFETY: the registers that a division changes are named. It faults.
    unsafe {
        asm!(
            "div {zero:e}",
            zero = in(reg) 0,
            inout("eax") 1 => _,
            inout("edx") 0 => _,
            options(nostack),
        );
    }
}

/// Reads behind the end of a mapped file.
#[inline(never)]
fn crash_here_bus() {
    // SAFETY: the name is a C string; a shared mapping of an empty file is touched by nobody but the line below.
    let address = unsafe {
        let file = sys::check("memfd_create", libc::memfd_create(c"empty".as_ptr(), 0));
        libc::mmap(std::ptr::null_mut(), 4096, PROT_READ | PROT_WRITE, libc::MAP_SHARED, file, 0)
    };
    assert_ne!(address, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    here().number("address", address as u64).print();
    read(address as u64);
}

#[inline(never)]
fn crash_here_general_protection() {
    here().print();
    read(NON_CANONICAL);
}

/// A push where the stack pointer points below everything that is mapped.
#[inline(never)]
fn crash_here_bad_sp() {
    here().number("address", 0xdead_bee0_u64).print();
    // SAFETY: the push faults, so the lost stack pointer is missed by nobody.
    unsafe { asm!("mov rsp, {0}", "push rax", "ud2", in(reg) 0xdead_bee8_u64, options(noreturn)) };
}

/// A push where the stack pointer is no address at all.
#[inline(never)]
fn crash_here_bad_sp_high() {
    here().print();
    // SAFETY: as above.
    unsafe { asm!("mov rsp, {0}", "push rax", "ud2", in(reg) NON_CANONICAL, options(noreturn)) };
}
