//! System calls, and a loop, with known values in every register before and the same expected after.

use std::arch::naked_asm;

/// In every general register that the system call gives no meaning to.
const MAGIC: u64 = 0x5eed_cafe_1234_5678;

/// A system call to be made again and again. The assembly below knows the offsets.
#[repr(C, align(32))]
pub struct Call {
    /// Offset 0: for the sixteen vector registers, 32 bytes each.
    vectors: [[u8; 32]; 16],
    /// Offset 512: RDI, RSI, RDX, R10, R8, R9.
    arguments: [u64; 6],
    /// Offset 560.
    number: u64,
    /// Offset 568: turns of a loop instead of the system call.
    turns: u64,
}

const _: () = {
    assert!(std::mem::offset_of!(Call, arguments) == 512);
    assert!(std::mem::offset_of!(Call, number) == 560);
    assert!(std::mem::offset_of!(Call, turns) == 568);
    assert!(MAGIC == 0x5eed_cafe_1234_5678);
};

impl Call {
    /// System call `number`.
    pub fn new(number: u64, arguments: [u64; 6]) -> Self {
        let byte =
            |register: usize, index: usize| u8::try_from((register * 67 + index * 3 + 1) % 256).unwrap_or(0);
        Self {
            vectors: std::array::from_fn(|register| std::array::from_fn(|index| byte(register, index))),
            arguments,
            number,
            turns: 0,
        }
    }

    /// Makes it. Returns its result and whether a register came back changed (0 or 1).
    pub fn make(&self) -> (i64, u64) {
        assert!(is_x86_feature_detected!("avx"), "the witness needs AVX");
        let mut wrong = 0;
        // SAFETY: the values are live, the processor has AVX, and the function keeps the C calling convention.
        let result = unsafe { hold(self, &raw mut wrong) };
        (result, wrong)
    }
}

/// Holds the values over a loop of a million turns. Returns 1 when one was changed, else 0.
pub fn spin() -> u64 {
    Call { turns: 1_000_000, ..Call::new(0, [1, 2, 3, 4, 5, 6]) }.make().1
}

/// Loads all registers, makes the system call or turns the loop, compares all registers.
///
/// A system call changes RAX, RCX and R11 only.
#[unsafe(naked)]
unsafe extern "C" fn hold(call: *const Call, wrong: *mut u64) -> i64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rsi",
        "push rdi",
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "vmovups ymm\\reg, [rdi + 32 * \\reg]",
        ".endr",
        ".irp reg, rbx,rbp,r12,r13,r14,r15",
        "movabs \\reg, 0x5eedcafe12345678",
        ".endr",
        "mov rax, [rdi + 560]",
        "mov rcx, [rdi + 568]",
        "mov rsi, [rdi + 520]",
        "mov rdx, [rdi + 528]",
        "mov r10, [rdi + 536]",
        "mov r8, [rdi + 544]",
        "mov r9, [rdi + 552]",
        "mov rdi, [rdi + 512]",
        "test rcx, rcx",
        "jz 3f",
        "2:",
        "dec rcx",
        "jnz 2b",
        "jmp 4f",
        "3:",
        "syscall",
        "4:",
        // RCX is free from here on: the values, and R11: what is expected.
        "mov rcx, [rsp]",
        "movabs r11, 0x5eedcafe12345678",
        ".irp reg, rbx,rbp,r12,r13,r14,r15",
        "cmp \\reg, r11",
        "jne 5f",
        ".endr",
        "cmp rdi, [rcx + 512]",
        "jne 5f",
        "cmp rsi, [rcx + 520]",
        "jne 5f",
        "cmp rdx, [rcx + 528]",
        "jne 5f",
        "cmp r10, [rcx + 536]",
        "jne 5f",
        "cmp r8, [rcx + 544]",
        "jne 5f",
        "cmp r9, [rcx + 552]",
        "jne 5f",
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "vxorps ymm\\reg, ymm\\reg, [rcx + 32 * \\reg]",
        "vptest ymm\\reg, ymm\\reg",
        "jnz 5f",
        ".endr",
        "xor r11d, r11d",
        "jmp 6f",
        "5:",
        "mov r11d, 1",
        "6:",
        "vzeroupper",
        "pop rdi",
        "pop rsi",
        "mov [rsi], r11",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}
