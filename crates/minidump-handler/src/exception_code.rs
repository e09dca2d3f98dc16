//! Names of exception codes of Windows.

/// The codes that programs die of, and their names (`<ntstatus.h>`; the last is the Microsoft compiler's for C++).
const NAMES: [(u32, &str); 19] = [
    (0x4000_0015, "STATUS_FATAL_APP_EXIT"),
    (0x8000_0001, "STATUS_GUARD_PAGE_VIOLATION"),
    (0x8000_0002, "STATUS_DATATYPE_MISALIGNMENT"),
    (0x8000_0003, "STATUS_BREAKPOINT"),
    (0xc000_0005, "STATUS_ACCESS_VIOLATION"),
    (0xc000_0006, "STATUS_IN_PAGE_ERROR"),
    (0xc000_000d, "STATUS_INVALID_PARAMETER"),
    (0xc000_001d, "STATUS_ILLEGAL_INSTRUCTION"),
    (0xc000_0025, "STATUS_NONCONTINUABLE_EXCEPTION"),
    (0xc000_008c, "STATUS_ARRAY_BOUNDS_EXCEEDED"),
    (0xc000_008e, "STATUS_FLOAT_DIVIDE_BY_ZERO"),
    (0xc000_0094, "STATUS_INTEGER_DIVIDE_BY_ZERO"),
    (0xc000_0095, "STATUS_INTEGER_OVERFLOW"),
    (0xc000_0096, "STATUS_PRIVILEGED_INSTRUCTION"),
    (0xc000_00fd, "STATUS_STACK_OVERFLOW"),
    (0xc000_0374, "STATUS_HEAP_CORRUPTION"),
    (0xc000_0409, "STATUS_STACK_BUFFER_OVERRUN"),
    (0xc000_0420, "STATUS_ASSERTION_FAILURE"),
    (0xe06d_7363, "C++ exception"),
];

/// The name of a code, if it is a usual one. It allocates nothing.
pub fn name(code: u32) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// Why a program crashed, in words.
pub fn reason(code: u32, address: u64) -> String {
    match name(code) {
        Some(name) => format!("{name} at {address:#x}"),
        None => format!("exception {code:#x} at {address:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_have_names_and_others_their_number() {
        assert_eq!(reason(0xc000_0005, 0x10), "STATUS_ACCESS_VIOLATION at 0x10");
        assert_eq!(reason(0xdead_beef, 0), "exception 0xdeadbeef at 0x0");
        assert!(NAMES.is_sorted(), "and none twice");
    }
}
