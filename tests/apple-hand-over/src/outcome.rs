//! What functions return: a number, and a sentence for it.

use minidump_handler::mach::HandOverError;
use std::cell::RefCell;
use std::ffi::{CString, c_char};

thread_local! {
    static SENTENCE: RefCell<CString> = RefCell::default();
}

/// All went well.
pub const DONE: i32 = 0;
/// Not one of the errors of a hand-over.
pub const OTHER: i32 = 9;

/// Keeps the sentence, and returns the number of the error.
pub fn failed(error: &HandOverError) -> i32 {
    tell(error.to_string());
    match error {
        HandOverError::Pipe(_) => 1,
        HandOverError::Malformed(_) => 2,
        HandOverError::Mach(_) => 3,
        HandOverError::Name => 4,
        HandOverError::Silent => 5,
        HandOverError::Stranger { .. } => 6,
        _ => OTHER,
    }
}

/// Keeps a sentence.
pub fn tell(sentence: String) {
    let sentence = CString::new(sentence).unwrap_or_default();
    SENTENCE.with(|place| *place.borrow_mut() = sentence);
}

/// The last sentence.
#[unsafe(no_mangle)]
pub extern "C" fn test_sentence() -> *const c_char {
    SENTENCE.with(|place| place.borrow().as_ptr())
}
