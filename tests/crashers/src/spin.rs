//! Threads that spin at a stack pointer of their own choice.
//!
//! Such a thread touches no stack: it stores a flag over and over, with every register but RSP as it was.

use crate::sys;
use std::arch::asm;
use std::sync::atomic::{AtomicU32, Ordering};

/// Set by a spinning thread in every turn, so it is set only when the thread has its final stack pointer.
static SPINNING: AtomicU32 = AtomicU32::new(0);

/// Sets RSP to `stack_pointer` and spins for ever.
///
/// # Safety
/// No signal handler may run on this thread: it would run on that stack.
pub unsafe fn spin_at(stack_pointer: u64) -> ! {
    // SAFETY: the loop uses no stack and writes only to the static. It never returns, so the lost stack pointer is
    // missed by nobody.
    unsafe {
        asm!(
            "mov rsp, {sp}",
            "2:",
            "mov dword ptr [rip + {flag}], 1",
            "jmp 2b",
            sp = in(reg) stack_pointer,
            flag = sym SPINNING,
            options(noreturn),
        )
    }
}

/// Waits until the one spinning thread of this process spins.
pub fn wait_for_spin() {
    sys::wait_until("a thread to spin", || SPINNING.load(Ordering::Acquire) == 1);
}
