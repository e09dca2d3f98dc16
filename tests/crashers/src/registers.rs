//! A thread whose registers hold known values for as long as it lives.

use crate::control;
use crate::facts::Facts;
use crate::scenario::Arguments;
use crate::sys;
use std::arch::naked_asm;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 … R15, in this order.
const GENERAL: [&str; 15] =
    ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
/// Carry, parity, adjust, zero, sign and overflow: the flags that user code may set freely.
const FLAGS: u64 = 0x8d5;
/// Round up, flush denormals to zero, all exceptions masked: no default value.
const MXCSR: u32 = 0xdf80;
/// Round down, 64-bit precision, all exceptions masked: no default value.
const X87_CONTROL: u16 = 0x077f;
/// Two 80-bit numbers; the one loaded last is ST(0).
const X87_FIRST: [u8; 10] = [0x21, 0x43, 0x65, 0x87, 0xa9, 0xcb, 0xed, 0x8f, 0x34, 0x40];
const X87_SECOND: [u8; 10] = [0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40];
/// Everything the spinning thread loads. The assembly below knows the offsets.
#[repr(C, align(64))]
struct Values {
    /// Offset 0: 32 registers of 64 bytes. Without AVX-512 the first 16, the low 32 or 16 bytes of each.
    vectors: [[u8; 64]; 32],
    /// Offset 2048: opmask registers.
    opmasks: [u64; 8],
    /// Offset 2112: general registers in the order of [`GENERAL`].
    general: [u64; 15],
    /// Offset 2232: RFLAGS.
    flags: u64,
    /// Offset 2240.
    x87_first: [u8; 16],
    /// Offset 2256.
    x87_second: [u8; 16],
    /// Offset 2272.
    mxcsr: u32,
    /// Offset 2276.
    x87_control: u16,
    /// Offset 2278: 0 for SSE, 1 for AVX, 2 for AVX-512.
    level: u16,
}

static SPINNING: AtomicU32 = AtomicU32::new(0);
static STACK_POINTER: AtomicU64 = AtomicU64::new(0);
static LOOP_START: AtomicU64 = AtomicU64::new(0);
static LOOP_END: AtomicU64 = AtomicU64::new(0);

/// `registers [sse|avx|avx512]`: a thread with known values in every register, spinning. Without an argument, the
/// widest vector registers that the processor has.
pub fn registers(arguments: &Arguments) {
    let level = arguments.text(0).map_or_else(widest_level, |name| match name {
        "sse" => 0,
        "avx" => 1,
        _ => 2,
    });
    start(level).print();
    control::serve_ping();
}

/// Starts the thread and tells of it. Level 0 is SSE, 1 AVX, 2 AVX-512.
pub fn start(level: u16) -> Facts {
    assert!(level <= widest_level(), "the processor lacks the registers asked for");
    let values = Box::leak(Box::new(Values::new(level)));
    let (send, receive) = std::sync::mpsc::channel();
    let shown: &'static Values = values;
    let spin = move || {
        send.send((sys::thread_id(), sys::segment_bases())).expect("the main thread listens");
        // SAFETY: `shown` lives for ever, and the processor has the registers that its level names.
        unsafe { load_all(shown) }
    };
    std::thread::Builder::new().name("registers".into()).spawn(spin).expect("a thread can be started");
    let (tid, bases) = receive.recv().expect("the thread reports");
    sys::wait_until("the registers to be loaded", || SPINNING.load(Ordering::Acquire) == 1);
    bases.into_iter().fold(shown.facts().number("tid", tid), |facts, (name, base)| facts.number(name, base))
}

fn widest_level() -> u16 {
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        2
    } else {
        u16::from(is_x86_feature_detected!("avx"))
    }
}

impl Values {
    fn new(level: u16) -> Self {
        let byte =
            |register: usize, index: usize| u8::try_from((register * 67 + index * 3 + 1) % 256).unwrap_or(0);
        Self {
            vectors: std::array::from_fn(|register| std::array::from_fn(|index| byte(register, index))),
            opmasks: std::array::from_fn(|index| 0xa5a5_0000_1111_0000 + index as u64),
            general: std::array::from_fn(|index| 0x0101_0101_cafe_0000 + index as u64 * 0x1001_0000_0001),
            flags: FLAGS,
            x87_first: padded(X87_FIRST),
            x87_second: padded(X87_SECOND),
            mxcsr: MXCSR,
            x87_control: X87_CONTROL,
            level,
        }
    }

    fn facts(&self) -> Facts {
        let general = GENERAL
            .iter()
            .zip(self.general)
            .fold(Facts::part(), |facts, (name, value)| facts.number(name, value));
        let (registers, width) =
            [(16, 16), (16, 32), (32, 64)].get(usize::from(self.level)).copied().unwrap_or((0, 0));
        let vectors = self
            .vectors
            .iter()
            .take(registers)
            .map(|vector| Facts::part().bytes("bytes", vector.split_at(width).0));
        let opmasks = if self.level == 2 { self.opmasks.as_slice() } else { &[] };
        Facts::new()
            .object("general", &general.number("rsp", STACK_POINTER.load(Ordering::Acquire)))
            .number("loop_start", LOOP_START.load(Ordering::Acquire))
            .number("loop_end", LOOP_END.load(Ordering::Acquire))
            .number("flags", self.flags)
            .number("mxcsr", self.mxcsr)
            .number("x87_control", self.x87_control)
            .objects("x87", [X87_SECOND, X87_FIRST].map(|number| Facts::part().bytes("bytes", &number)))
            .text("level", ["sse", "avx", "avx512"].get(usize::from(self.level)).copied().unwrap_or(""))
            .objects("vectors", vectors)
            .numbers("opmasks", opmasks.iter().copied())
    }
}

fn padded(number: [u8; 10]) -> [u8; 16] {
    std::array::from_fn(|index| number.get(index).copied().unwrap_or(0))
}

/// Loads every register from `values` and spins for ever.
///
/// The loop stores [`SPINNING`] in every turn: it is set only when every register has its value. RSP stays what it
/// was and is published.
///
/// # Safety
/// The processor must have the registers that the level of `values` names. Signal handlers must not run.
#[unsafe(naked)]
unsafe extern "sysv64" fn load_all(values: &'static Values) -> ! {
    naked_asm!(
        "mov [rip + {sp}], rsp",
        "lea rax, [rip + 8f]",
        "mov [rip + {start}], rax",
        "lea rax, [rip + 9f]",
        "mov [rip + {end}], rax",
        // x87 first: its loads go through memory only.
        "fninit",
        "fldcw [rdi + 2276]",
        "fld tbyte ptr [rdi + 2240]",
        "fld tbyte ptr [rdi + 2256]",
        "ldmxcsr [rdi + 2272]",
        "movzx eax, word ptr [rdi + 2278]",
        "cmp eax, 1",
        "je 4f",
        "ja 5f",
        // SSE
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "movups xmm\\reg, [rdi + 64 * \\reg]",
        ".endr",
        "jmp 7f",
        // AVX
        "4:",
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
        "vmovups ymm\\reg, [rdi + 64 * \\reg]",
        ".endr",
        "jmp 7f",
        // AVX-512
        "5:",
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
        "vmovups zmm\\reg, [rdi + 64 * \\reg]",
        ".endr",
        ".irp reg, 0,1,2,3,4,5,6,7",
        "kmovq k\\reg, [rdi + 2048 + 8 * \\reg]",
        ".endr",
        "7:",
        "push [rdi + 2232]",
        "popfq",
        "mov rax, [rdi + 2112]",
        "mov rbx, [rdi + 2120]",
        "mov rcx, [rdi + 2128]",
        "mov rdx, [rdi + 2136]",
        "mov rsi, [rdi + 2144]",
        "mov rbp, [rdi + 2160]",
        "mov r8, [rdi + 2168]",
        "mov r9, [rdi + 2176]",
        "mov r10, [rdi + 2184]",
        "mov r11, [rdi + 2192]",
        "mov r12, [rdi + 2200]",
        "mov r13, [rdi + 2208]",
        "mov r14, [rdi + 2216]",
        "mov r15, [rdi + 2224]",
        "mov rdi, [rdi + 2152]",
        "8:",
        "mov dword ptr [rip + {flag}], 1",
        "jmp 8b",
        "9:",
        "ud2",
        sp = sym STACK_POINTER,
        start = sym LOOP_START,
        end = sym LOOP_END,
        flag = sym SPINNING,
    )
}

const _: () = {
    assert!(std::mem::offset_of!(Values, opmasks) == 2048);
    assert!(std::mem::offset_of!(Values, general) == 2112);
    assert!(std::mem::offset_of!(Values, flags) == 2232);
    assert!(std::mem::offset_of!(Values, x87_first) == 2240);
    assert!(std::mem::offset_of!(Values, x87_second) == 2256);
    assert!(std::mem::offset_of!(Values, mxcsr) == 2272);
    assert!(std::mem::offset_of!(Values, x87_control) == 2276);
    assert!(std::mem::offset_of!(Values, level) == 2278);
};
