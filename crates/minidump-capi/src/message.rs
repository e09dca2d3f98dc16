//! The sentence that belongs to the last error of a thread.

use std::cell::Cell;
use std::ffi::c_char;
use std::fmt::{self, Write};

/// Bytes of a message with the zero at its end.
const SIZE: usize = 1024;

thread_local! {
    /// Of fixed size and without a destructor: setting it neither allocates nor locks, and it can be read as long as its
    /// thread lives.
    static MESSAGE: [Cell<u8>; SIZE] = const { [const { Cell::new(0) }; SIZE] };
}

/// Writes the message of this thread from its beginning.
struct Writer {
    length: usize,
}

impl Write for Writer {
    /// What has no room is left out, from the first character on that does not fit.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        MESSAGE.with(|message| {
            for character in text.chars() {
                let mut bytes = [0; 4];
                // A zero would end the message.
                let character = if character == '\0' { ' ' } else { character };
                let bytes = character.encode_utf8(&mut bytes).as_bytes();
                let room = message.get(self.length..SIZE - 1).unwrap_or_default();
                if bytes.len() > room.len() {
                    return Err(fmt::Error);
                }
                room.iter().zip(bytes).for_each(|(cell, byte)| cell.set(*byte));
                self.length += bytes.len();
            }
            Ok(())
        })
    }
}

/// Keeps `what` as the message of this thread.
pub fn set(what: &dyn fmt::Display) {
    let mut writer = Writer { length: 0 };
    // A message that is too long is cut.
    let _ = write!(writer, "{what}");
    MESSAGE.with(|message| {
        if let Some(end) = message.get(writer.length) {
            end.set(0);
        }
    });
}

/// The sentence of the last error in the calling thread: UTF-8, at most 1,023 bytes, empty when there was none. It stays
/// until the next error in this thread, and goes with the thread.
#[expect(unsafe_code, reason = "the name that C knows it by")]
#[unsafe(no_mangle)]
pub extern "C" fn mdw_last_error_message() -> *const c_char {
    MESSAGE.with(|message| message.as_ptr().cast::<c_char>())
}

#[cfg(test)]
#[expect(unsafe_code, reason = "reads the message as C does")]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn message() -> String {
        // SAFETY: the message ends with a zero and is that of this thread, which does not change it meanwhile.
        unsafe { CStr::from_ptr(mdw_last_error_message()) }.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_thread_sees_its_own_message_until_the_next_one() {
        assert_eq!(message(), "");
        set(&"a long sentence");
        std::thread::spawn(|| assert_eq!(message(), "")).join().unwrap();
        assert_eq!(message(), "a long sentence");
        set(&"short");
        assert_eq!(message(), "short");
    }

    #[test]
    fn a_long_message_is_cut_between_characters_and_ends_with_zero() {
        set(&format_args!("x{}", "ä".repeat(SIZE)));
        assert_eq!(message(), format!("x{}", "ä".repeat(511)));
        set(&"a".repeat(SIZE));
        assert_eq!(message().len(), SIZE - 1);
    }

    #[test]
    fn a_zero_in_a_message_does_not_end_it() {
        set(&"a\0b");
        assert_eq!(message(), "a b");
    }
}
