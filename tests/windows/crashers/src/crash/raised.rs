//! Exceptions that the program raises itself.

use super::{Kind, here};
use windows_sys::Win32::System::Diagnostics::Debug::RaiseException;

/// `EXCEPTION_NONCONTINUABLE` of winnt.h.
const NONCONTINUABLE: u32 = 1;
/// A code with the bits for an error of an application.
const CUSTOM: u32 = 0xe0ab_cdef;
/// What Microsoft's C++ throws: "msc" behind 0xe0.
const CPP: u32 = 0xe06d_7363;
/// First parameter of it.
const CPP_MAGIC: usize = 0x1993_0520;
/// `STATUS_HEAP_CORRUPTION` of ntstatus.h.
const HEAP_CORRUPTION: u32 = 0xc000_0374;

pub const KINDS: &[Kind] = &[
    ("raise", crash_here_raise),
    ("cpp", crash_here_cpp),
    ("heap-corruption", crash_here_heap_corruption),
    ("many-parameters", crash_here_many_parameters),
];

/// Raises it in the calling function.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it shall happen in the function that is named for it")]
fn raise(code: u32, flags: u32, parameters: &[usize]) {
    here(code)
        .number("flags", flags)
        .numbers("parameters", parameters.iter().map(|parameter| *parameter as u64))
        .print();
    let count = u32::try_from(parameters.len()).unwrap_or(0);
    // SAFETY: the pointer and the count describe `parameters`.
    unsafe { RaiseException(code, flags, count, parameters.as_ptr()) };
}

#[inline(never)]
fn crash_here_raise() {
    raise(CUSTOM, 0, &[1, 0xdead_beef, usize::MAX]);
}

#[inline(never)]
fn crash_here_cpp() {
    raise(CPP, NONCONTINUABLE, &[CPP_MAGIC, 0x1000, 0x2000]);
}

/// As the heap of Windows does when it finds itself damaged.
#[inline(never)]
fn crash_here_heap_corruption() {
    raise(HEAP_CORRUPTION, NONCONTINUABLE, &[0x7fff_1230]);
}

/// As many as there may be (`EXCEPTION_MAXIMUM_PARAMETERS`).
#[inline(never)]
fn crash_here_many_parameters() {
    let parameters: [usize; 15] = std::array::from_fn(|index| 0xa000 + index);
    raise(CUSTOM + 1, NONCONTINUABLE, &parameters);
}
