//! The way into each function and out of it.

use crate::failure::{Code, Failure};
use crate::message;
use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does the work of a function, keeps the sentence of its error, and returns its code. A panic is an error.
pub fn enter(work: impl FnOnce() -> Result<(), Failure>) -> c_int {
    // What was being changed in a panic is behind locks, whose poison is looked at where it matters.
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return Code::Ok.number(),
        Ok(Err(failure)) => failure,
        Err(payload) => {
            // Dropping what somebody panicked with could panic again.
            std::mem::forget(payload);
            Failure::Panicked
        }
    };
    let code = failure.code();
    // Showing an error is foreign code, too.
    let told = catch_unwind(AssertUnwindSafe(|| message::set(&failure)));
    std::mem::forget(told);
    code.number()
}

/// The version of the library, such as "0.1.0".
#[expect(unsafe_code, reason = "the name that C knows it by")]
#[unsafe(no_mangle)]
pub extern "C" fn mdw_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast::<c_char>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_goes_no_further() {
        assert_eq!(enter(|| panic!("meant to")), Code::Internal.number());
        assert_eq!(enter(|| std::panic::panic_any(PanicsAgain)), Code::Internal.number());
    }

    struct PanicsAgain;

    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            panic!("and again");
        }
    }

    #[test]
    fn codes_are_those_of_the_header() {
        let header = include_str!("../include/minidump_writer.h");
        let names = [
            (Code::Ok, "MDW_OK"),
            (Code::Argument, "MDW_ERROR_ARGUMENT"),
            (Code::Utf8, "MDW_ERROR_UTF8"),
            (Code::Handle, "MDW_ERROR_HANDLE"),
            (Code::AlreadyStarted, "MDW_ERROR_ALREADY_STARTED"),
            (Code::BufferTooSmall, "MDW_ERROR_BUFFER_TOO_SMALL"),
            (Code::Unsupported, "MDW_ERROR_UNSUPPORTED"),
            (Code::System, "MDW_ERROR_SYSTEM"),
            (Code::NoProcess, "MDW_ERROR_NO_PROCESS"),
            (Code::Permission, "MDW_ERROR_PERMISSION"),
            (Code::Traced, "MDW_ERROR_TRACED"),
            (Code::Capture, "MDW_ERROR_CAPTURE"),
            (Code::Output, "MDW_ERROR_OUTPUT"),
            (Code::DumpDirectory, "MDW_ERROR_DUMP_DIRECTORY"),
            (Code::HandlerStart, "MDW_ERROR_HANDLER_START"),
            (Code::HandlerGone, "MDW_ERROR_HANDLER_GONE"),
            (Code::HandlerSilent, "MDW_ERROR_HANDLER_SILENT"),
            (Code::Declined, "MDW_ERROR_DECLINED"),
            (Code::HandlerFailed, "MDW_ERROR_HANDLER_FAILED"),
            (Code::Annotation, "MDW_ERROR_ANNOTATION"),
            (Code::AnnotationsFull, "MDW_ERROR_ANNOTATIONS_FULL"),
            (Code::Busy, "MDW_ERROR_BUSY"),
            (Code::Internal, "MDW_ERROR_INTERNAL"),
        ];
        for (code, name) in names {
            let line = format!("{name} = {}", code.number());
            let found = header.lines().any(|there| there.trim().trim_end_matches(',') == line);
            assert!(found, "the header has no line `{line}`");
        }
        let is_code = |line: &&str| line.trim().starts_with("MDW_ERROR_") && line.contains(" = ");
        assert_eq!(header.lines().filter(is_code).count(), names.len() - 1, "and no others");
    }
}
