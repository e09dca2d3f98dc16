//! Catches panics without a word on standard error.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether a panic on this thread is caught and needs no message.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// The result of `work`, or `None` when it panicked.
pub fn catch<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                usual(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    // What the work touched is dropped with its result.
    let result = panic::catch_unwind(AssertUnwindSafe(work)).ok();
    QUIET.set(before);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_none_and_a_result_stays() {
        assert_eq!(catch(|| 5), Some(5));
        assert_eq!(catch(|| -> i32 { panic!("quiet") }), None);
        assert!(!QUIET.get());
    }
}
