//! The crash of a core that does not tell it: from the exception registers of AArch64.

use crate::snapshot::{Exception, Thread};

/// `EXC_BAD_ACCESS`, `EXC_BREAKPOINT` (<mach/exception_types.h>).
const BAD_ACCESS: u32 = 1;
const BREAKPOINT: u32 = 6;
/// `KERN_INVALID_ADDRESS`, `KERN_PROTECTION_FAILURE` (<mach/kern_return.h>).
const INVALID_ADDRESS: u32 = 1;
const PROTECTION_FAILURE: u32 = 2;
/// `EXC_ARM_BREAKPOINT`, `EXC_ARM_DA_ALIGN` (<mach/arm/exception.h>).
const ARM_BREAKPOINT: u32 = 1;
const ALIGNMENT: u32 = 0x101;

/// What the first thread that was in a fault tells. LLDB's choice of the thread is the same.
pub fn exception(threads: &[Thread]) -> Option<Exception> {
    threads.iter().find_map(of_thread)
}

/// Exception classes and fault status codes: Arm ARM D24.2.40, `ESR_EL1`.
fn of_thread(thread: &Thread) -> Option<Exception> {
    let fault = thread.apple.as_ref()?.fault?;
    let pc = thread.instruction_pointer()?;
    let (code, flags, address) = match (fault.syndrome >> 26, fault.syndrome & 0x3f) {
        // Instruction and data aborts from user mode, by a fault of translation, of permission or of alignment.
        (0x20 | 0x24, 0x04..=0x07) => (BAD_ACCESS, INVALID_ADDRESS, fault.address),
        (0x20 | 0x24, 0x0d..=0x0f) => (BAD_ACCESS, PROTECTION_FAILURE, fault.address),
        (0x24, 0x21) => (BAD_ACCESS, ALIGNMENT, fault.address),
        // BRK
        (0x3c, _) => (BREAKPOINT, ARM_BREAKPOINT, pc),
        _ => return None,
    };
    let parameters = vec![code.into(), flags.into(), address];
    Some(Exception { thread: thread.id, code, flags, address, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{AppleThread, FaultState};

    fn thread(id: u32, syndrome: u32) -> Thread {
        let mut thread = Thread::new(id);
        thread.fallback_sp_ip = Some((0x7000, 0x4000));
        let fault = Some(FaultState { address: 0x10, syndrome, number: 0, cpu: 0 });
        thread.apple = Some(Box::new(AppleThread { fault, ..AppleThread::default() }));
        thread
    }

    #[test]
    fn the_first_thread_in_a_fault_has_crashed() {
        // SVC, data abort by a write.
        let found = exception(&[Thread::new(1), thread(2, 0x5600_0080), thread(3, 0x9200_0046)]).unwrap();
        assert_eq!((found.thread, found.code, found.flags, found.address), (3, 1, 1, 0x10));
        let found = exception(&[thread(2, 0x9200_004f)]).unwrap();
        assert_eq!((found.code, found.flags), (1, 2));
        let found = exception(&[thread(2, 0xf200_0001)]).unwrap();
        assert_eq!((found.code, found.flags, found.address), (6, 1, 0x4000));
        assert_eq!(exception(&[thread(2, 0x5600_0080), thread(3, 0)]), None);
    }
}
