use std::hint::black_box;

/// Calls `work` once. The name of this function is how callgrind knows what to count, so it is never inlined, and
/// nothing else may be called so.
#[inline(never)]
pub fn measured<T>(work: impl FnOnce() -> T) -> T {
    // What is done behind the call keeps it from becoming a jump out of this function.
    black_box(work())
}
