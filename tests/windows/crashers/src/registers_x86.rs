//! A thread whose registers hold known values for as long as it lives, for 32-bit processors.

use crate::facts::Facts;
use crate::sys;
use std::arch::naked_asm;
use std::sync::atomic::{AtomicU32, Ordering};

/// In the order of [`Values::general`].
const GENERAL: [&str; 7] = ["eax", "ebx", "ecx", "edx", "esi", "edi", "ebp"];

/// Everything the spinning thread loads. The assembly below knows the offsets.
#[repr(C, align(16))]
struct Values {
    /// Offset 0: XMM0 to XMM7.
    vectors: [[u8; 16]; 8],
    /// Offset 128.
    general: [u32; 7],
}

static SPINNING: AtomicU32 = AtomicU32::new(0);
static STACK_POINTER: AtomicU32 = AtomicU32::new(0);
static LOOP_START: AtomicU32 = AtomicU32::new(0);
static LOOP_END: AtomicU32 = AtomicU32::new(0);

/// Starts the thread and tells of it. There are no other vector registers than those of SSE here.
pub fn start(_: u16) -> Facts {
    let byte =
        |register: usize, index: usize| u8::try_from((register * 67 + index * 3 + 1) % 256).unwrap_or(0);
    let values: &'static Values = Box::leak(Box::new(Values {
        vectors: std::array::from_fn(|register| std::array::from_fn(|index| byte(register, index))),
        general: std::array::from_fn(|index| 0xcafe_0001 + u32::try_from(index).unwrap_or(0) * 0x0101_0010),
    }));
    let (send, receive) = std::sync::mpsc::channel();
    let spin = move || {
        send.send((sys::thread_id(), sys::teb())).expect("the main thread listens");
        // SAFETY: the values live for ever.
        unsafe { load_all(values) }
    };
    std::thread::Builder::new().name("registers".into()).spawn(spin).expect("a thread can be started");
    let (tid, teb) = receive.recv().expect("the thread reports");
    sys::wait_until("the registers to be loaded", || SPINNING.load(Ordering::Acquire) == 1);
    let general = GENERAL.iter().zip(values.general);
    let general = general.fold(Facts::part(), |facts, (name, value)| facts.number(name, value));
    let vectors = values.vectors.iter().map(|vector| Facts::part().bytes("bytes", vector));
    Facts::part()
        .object("general", &general.number("esp", STACK_POINTER.load(Ordering::Acquire)))
        .number("loop_start", LOOP_START.load(Ordering::Acquire))
        .number("loop_end", LOOP_END.load(Ordering::Acquire))
        .objects("vectors", vectors)
        .number("tid", tid)
        .size("teb", teb)
}

/// Loads every register from `values` and spins for ever.
///
/// # Safety
/// It never returns.
#[unsafe(naked)]
unsafe extern "C" fn load_all(values: &'static Values) -> ! {
    naked_asm!(
        "mov eax, [esp + 4]",
        "mov [{sp}], esp",
        "lea ecx, [8f]",
        "mov [{start}], ecx",
        "lea ecx, [9f]",
        "mov [{end}], ecx",
        ".irp reg, 0,1,2,3,4,5,6,7",
        "movups xmm\\reg, [eax + 16 * \\reg]",
        ".endr",
        "mov ebx, [eax + 132]",
        "mov ecx, [eax + 136]",
        "mov edx, [eax + 140]",
        "mov esi, [eax + 144]",
        "mov edi, [eax + 148]",
        "mov ebp, [eax + 152]",
        "mov eax, [eax + 128]",
        "8:",
        "mov dword ptr [{flag}], 1",
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
    assert!(std::mem::offset_of!(Values, general) == 128);
};
