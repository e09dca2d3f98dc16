//! The way home of a borrowed thread when nobody puts its registers back: this program may be killed at any time.
//!
//! The thread makes its system call through a `syscall` that is followed by `ret`, and its stack pointer points to the
//! address of the C library's signal return. Left alone, it goes there, and the kernel loads the registers, the vector
//! registers and the signal mask that lie behind, in the frame of a signal that never was (rt_sigreturn(2),
//! arch/x86/kernel/signal_64.c). What it was doing begins anew: the system call it was in is made again. The helper that
//! the call may have made has a frame of its own, whose registers call `exit`.
//!
//! All this lies below the stack and the red zone, where the ABI keeps nothing, and is taken away after the call.

use super::super::memory::ProcessMemory;
use super::refusal::Refusal;
use super::registers::Registers;
use super::requests;
use super::site::Code;
use crate::snapshot::MemorySource;
use libc::pid_t;
use std::mem::offset_of;

/// Bytes below the stack pointer that belong to the running function (System V ABI for x86-64, §3.2.2).
const RED_ZONE: u64 = 128;
/// `struct rt_sigframe` up to its siginfo, which the kernel does not read: return address, `struct ucontext`.
const FRAME: usize = 8 + UCONTEXT;
const UCONTEXT: usize = 304;
/// Offsets in `struct ucontext` (include/uapi/asm-generic/ucontext.h): flags of the alternate signal stack, registers,
/// signal mask.
const STACK_FLAGS: usize = 24;
const SIGNAL_MASK: usize = 296;
/// UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS, arch/x86/include/uapi/asm/ucontext.h.
const UCONTEXT_FLAGS: u64 = 7;
/// No flags of an alternate signal stack: the kernel refuses them and leaves the thread the one it has.
const NO_SUCH_FLAGS: u32 = 0xff;
/// Offset of the bytes of the FXSAVE area that say how long it is (`struct _fpx_sw_bytes`,
/// arch/x86/include/uapi/asm/sigcontext.h), and what stands there and behind the area.
const SOFTWARE_BYTES: usize = 464;
const MAGIC_BEGIN: u32 = 0x4650_5853;
const MAGIC_END: u32 = 0x4650_5845;
/// Where PTRACE_GETREGSET leaves the mask of the components that the processor has (XCR0).
const COMPONENTS: usize = SOFTWARE_BYTES;
/// Least length of an area in the XSAVE format.
const XSAVE_HEADER_END: usize = 576;

/// A thread's way home, as it lies in its memory.
#[derive(Debug)]
pub struct Landing {
    tid: pid_t,
    start: u64,
    before: Vec<u8>,
    /// Stack pointer for the thread.
    pub stack: u64,
    /// Stack pointer for a task that it makes.
    pub helper_stack: u64,
}

impl Landing {
    /// Room for a system call to put eight bytes into; see [`answer`](Self::answer).
    pub fn answer_address(&self) -> u64 {
        self.start
    }

    /// Lays it out for the stopped thread `tid` with these registers and signal mask.
    pub fn lay(tid: pid_t, registers: &Registers, mask: u64, code: &Code) -> Result<Self, Refusal> {
        const NO_ROOM: Refusal = Refusal::NoThread("there is no memory below their stacks");
        let vectors = vector_registers(tid).map_err(Refusal::of_request)?;
        let top = registers.stack().checked_sub(RED_ZONE).ok_or(NO_ROOM)?;
        let place =
            |below: u64, size: usize| below.checked_sub(size as u64).map(|at| at & !63).ok_or(NO_ROOM);
        let vectors_at = place(top, vectors.len())?;
        let stack = place(vectors_at, FRAME)?;
        let helper_stack = place(stack, FRAME)?;
        let start = place(helper_stack, 8)?;
        let size = usize::try_from(top - start).map_err(|_| NO_ROOM)?;
        let mut before = vec![0; size];
        if ProcessMemory::new(tid, None, true).read(start, &mut before).done < size {
            return Err(NO_ROOM);
        }
        let mut area = before.clone();
        let mut put = |at: u64, bytes: &[u8]| {
            let offset = usize::try_from(at - start).unwrap_or(usize::MAX);
            if let Some(place) = area.get_mut(offset..).and_then(|rest| rest.get_mut(..bytes.len())) {
                place.copy_from_slice(bytes);
            }
        };
        put(start, &[0; 8]);
        put(vectors_at, &vectors);
        put(stack, &frame(code, &registers.begun_anew(), mask, vectors_at));
        put(helper_stack, &frame(code, &registers.exiting(code.call), u64::MAX, 0));
        let landing = Self { tid, start, before, stack, helper_stack };
        if requests::write_memory(tid, start, &area).is_err() {
            landing.clear().map_err(|_| NO_ROOM)?;
            return Err(NO_ROOM);
        }
        Ok(landing)
    }

    /// What lies at [`answer_address`](Self::answer_address) now; it was zero.
    pub fn answer(&self) -> Option<[u8; 8]> {
        let mut word = [0; 8];
        let memory = ProcessMemory::new(self.tid, None, true);
        (memory.read(self.start, &mut word).done == word.len()).then_some(word)
    }

    /// Puts the memory back as it was. Only for a thread that has its own registers again.
    pub fn clear(&self) -> Result<(), Refusal> {
        requests::write_memory(self.tid, self.start, &self.before).map_err(Refusal::of_request)
    }
}

/// The frame from which a signal return loads `registers`, `mask` and the vector registers at `vectors_at` (zero: none).
fn frame(code: &Code, registers: &Registers, mask: u64, vectors_at: u64) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME);
    let mut word = |value: u64| frame.extend_from_slice(&value.to_le_bytes());
    word(code.signal_return);
    word(UCONTEXT_FLAGS);
    (0..2).for_each(|_| word(0));
    word(NO_SUCH_FLAGS.into());
    word(0);
    for offset in [
        offset_of!(libc::user_regs_struct, r8),
        offset_of!(libc::user_regs_struct, r9),
        offset_of!(libc::user_regs_struct, r10),
        offset_of!(libc::user_regs_struct, r11),
        offset_of!(libc::user_regs_struct, r12),
        offset_of!(libc::user_regs_struct, r13),
        offset_of!(libc::user_regs_struct, r14),
        offset_of!(libc::user_regs_struct, r15),
        offset_of!(libc::user_regs_struct, rdi),
        offset_of!(libc::user_regs_struct, rsi),
        offset_of!(libc::user_regs_struct, rbp),
        offset_of!(libc::user_regs_struct, rbx),
        offset_of!(libc::user_regs_struct, rdx),
        offset_of!(libc::user_regs_struct, rax),
        offset_of!(libc::user_regs_struct, rcx),
        offset_of!(libc::user_regs_struct, rsp),
        offset_of!(libc::user_regs_struct, rip),
        offset_of!(libc::user_regs_struct, eflags),
    ] {
        word(registers.word(offset));
    }
    // Four selectors of 16 bits: CS, GS, FS, SS. The kernel takes CS and SS.
    let selector = |offset: usize| registers.word(offset) & 0xffff;
    let code_segment = selector(offset_of!(libc::user_regs_struct, cs));
    word(code_segment | selector(offset_of!(libc::user_regs_struct, ss)) << 48);
    // Error code, trap number, old mask, fault address.
    (0..4).for_each(|_| word(0));
    word(vectors_at);
    (0..8).for_each(|_| word(0));
    word(mask);
    frame
}

/// The vector and floating-point registers as a signal frame has them.
fn vector_registers(tid: pid_t) -> std::io::Result<Vec<u8>> {
    let mut area = requests::vector_registers(tid)?;
    let components: Option<[u8; 8]> = area.get(COMPONENTS..).and_then(|rest| rest.first_chunk().copied());
    let (Some(components), Ok(length)) = (components, u32::try_from(area.len())) else { return Ok(area) };
    if area.len() < XSAVE_HEADER_END {
        return Ok(area);
    }
    let mut software = Vec::with_capacity(48);
    software.extend_from_slice(&MAGIC_BEGIN.to_le_bytes());
    software.extend_from_slice(&length.saturating_add(4).to_le_bytes());
    software.extend_from_slice(&components);
    software.extend_from_slice(&length.to_le_bytes());
    software.resize(48, 0);
    if let Some(place) = area.get_mut(SOFTWARE_BYTES..SOFTWARE_BYTES + 48) {
        place.copy_from_slice(&software);
    }
    area.extend_from_slice(&MAGIC_END.to_le_bytes());
    Ok(area)
}

const _: () = assert!(STACK_FLAGS + 8 + 8 + 256 == SIGNAL_MASK && SIGNAL_MASK + 8 == UCONTEXT);

#[cfg(test)]
mod tests {
    use super::super::requests::REGISTERS;
    use super::*;

    #[test]
    fn the_frame_has_each_register_where_a_signal_handler_finds_it() {
        let mut bytes = [0; REGISTERS];
        for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&(index as u64 + 100).to_ne_bytes());
        }
        let registers = Registers(bytes);
        let code = Code { call: 0x1000, signal_return: 0x2000 };
        let frame = frame(&code, &registers, 0x5555, 0x7000);
        assert_eq!(frame.len(), FRAME);
        let word = |offset: usize| u64::from_le_bytes(frame[offset..offset + 8].try_into().unwrap());
        assert_eq!(word(0), 0x2000, "the return address");
        let context = |offset: usize| word(8 + offset);
        let general = |register: i32| {
            let index = usize::try_from(register).unwrap();
            context(offset_of!(libc::ucontext_t, uc_mcontext) + index * 8)
        };
        for (register, offset) in [
            (libc::REG_R8, offset_of!(libc::user_regs_struct, r8)),
            (libc::REG_R15, offset_of!(libc::user_regs_struct, r15)),
            (libc::REG_RDI, offset_of!(libc::user_regs_struct, rdi)),
            (libc::REG_RSI, offset_of!(libc::user_regs_struct, rsi)),
            (libc::REG_RBP, offset_of!(libc::user_regs_struct, rbp)),
            (libc::REG_RBX, offset_of!(libc::user_regs_struct, rbx)),
            (libc::REG_RDX, offset_of!(libc::user_regs_struct, rdx)),
            (libc::REG_RAX, offset_of!(libc::user_regs_struct, rax)),
            (libc::REG_RCX, offset_of!(libc::user_regs_struct, rcx)),
            (libc::REG_RSP, offset_of!(libc::user_regs_struct, rsp)),
            (libc::REG_RIP, offset_of!(libc::user_regs_struct, rip)),
            (libc::REG_EFL, offset_of!(libc::user_regs_struct, eflags)),
        ] {
            assert_eq!(general(register), registers.word(offset), "register {register}");
        }
        let (cs, ss) = (offset_of!(libc::user_regs_struct, cs), offset_of!(libc::user_regs_struct, ss));
        assert_eq!(general(libc::REG_CSGSFS), registers.word(cs) | registers.word(ss) << 48);
        let vectors = offset_of!(libc::ucontext_t, uc_mcontext) + offset_of!(libc::mcontext_t, fpregs);
        assert_eq!(context(vectors), 0x7000);
        assert_eq!(context(offset_of!(libc::ucontext_t, uc_sigmask)), 0x5555);
        let stack = offset_of!(libc::ucontext_t, uc_stack) + offset_of!(libc::stack_t, ss_flags);
        assert_eq!(context(stack), u64::from(NO_SUCH_FLAGS));
    }
}
