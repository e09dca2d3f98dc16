//! How the program refuses: exit code 1 and one clear sentence on standard error.

use crate::process::Finished;

/// Fails unless the program ended with code 1, said one sentence that holds all of `parts`, and wrote nothing else.
#[track_caller]
pub fn assert_refusal(finished: &Finished, parts: &[&str]) {
    let text = finished.stderr.trim_end();
    assert_eq!(finished.status.code(), Some(1), "exit code; it says: {text}");
    assert_eq!(finished.stdout, b"", "nothing goes to standard output");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(text.lines().count(), 1, "one sentence: {text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} in: {text}");
    }
}
