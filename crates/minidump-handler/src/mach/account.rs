//! The crash as the crashing process tells it, in the form that goes through a pipe to the handler.
//!
//! The form is that of the other messages of this crate (`docs/handler-protocol.md`), with fields of its own.

use super::exception_message::ThreadState;
use crate::protocol::{Fields, MOST_BYTES, Malformed, MessageWriter, RequestKind, number, tag, text};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

/// Tags of the fields that other systems' messages do not have: `thread_id` as u64; type of the exception as i32, zero as u32, then
/// codes as u64; registers as flavor and words; texts.
const THREAD_ID: u16 = 8;
const EXCEPTION: u16 = 9;
const STATE: u16 = 10;
const EXECUTABLE: u16 = 11;
const BUNDLE_VERSION: u16 = 12;

/// The most states of a thread, words of one, and annotations.
const MOST_STATES: usize = 16;
const MOST_WORDS: usize = 1296;
const MOST_ANNOTATIONS: usize = 256;

/// What a crashing process says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// `thread_id` of the thread that crashed, or that asks; 0 when the process does not know it.
    pub thread_id: u64,
    /// Type (`EXC_*`) and codes, at most two; `None` when the process did not crash.
    pub exception: Option<(i32, Vec<u64>)>,
    /// Registers at that instant.
    pub states: Vec<ThreadState>,
    /// Path of the executable.
    pub executable: PathBuf,
    /// `CFBundleVersion`, or any other version.
    pub bundle_version: String,
    /// Annotations.
    pub annotations: Vec<(String, String)>,
    /// Why a dump is asked for.
    pub reason: Option<String>,
}

impl Account {
    /// The account of a process that wants to be dumped for no crash, with nothing known but the thread.
    #[must_use]
    pub fn new(thread_id: u64) -> Self {
        Self {
            thread_id,
            exception: None,
            states: Vec::new(),
            executable: PathBuf::new(),
            bundle_version: String::new(),
            annotations: Vec::new(),
            reason: None,
        }
    }

    /// The message, for a process that has not crashed yet or can still allocate. What has no room is left out, registers
    /// last: they come first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut buffer = vec![0; MOST_BYTES];
        let kind = if self.exception.is_some() { RequestKind::Crash } else { RequestKind::Dump };
        let Some(mut writer) = MessageWriter::new(&mut buffer, kind as u16) else { return Vec::new() };
        writer.field(THREAD_ID, &[&self.thread_id.to_le_bytes()]);
        if let Some((exception, codes)) = &self.exception {
            let codes: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes()).collect();
            writer.field(EXCEPTION, &[exception.to_le_bytes().as_slice(), &[0; 4], &codes]);
        }
        for ThreadState { flavor, words } in &self.states {
            let words: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            writer.field(STATE, &[flavor.to_le_bytes().as_slice(), &words]);
        }
        writer.field(EXECUTABLE, &[self.executable.as_os_str().as_bytes()]);
        writer.field(BUNDLE_VERSION, &[self.bundle_version.as_bytes()]);
        if let Some(reason) = &self.reason {
            writer.field(tag::REASON, &[reason.as_bytes()]);
        }
        for (key, value) in &self.annotations {
            writer.field(tag::ANNOTATION, &[key.as_bytes(), &[0], value.as_bytes()]);
        }
        writer.finish().to_vec()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// It is none, or lacks the thread, or a field has a wrong size.
    pub fn decode(message: &[u8]) -> Result<Self, Malformed> {
        let mut account = Self::new(0);
        let mut thread = None;
        for field in Fields::of(message)? {
            let (tag, bytes) = field?;
            if tag == THREAD_ID {
                let id: [u8; 8] = bytes.try_into().map_err(|_| Malformed::Missing(tag))?;
                thread = Some(u64::from_le_bytes(id));
            }
            account.take(tag, bytes)?;
        }
        account.thread_id = thread.ok_or(Malformed::Missing(THREAD_ID))?;
        Ok(account)
    }

    fn take(&mut self, tag: u16, bytes: &[u8]) -> Result<(), Malformed> {
        let wrong = Malformed::Missing(tag);
        match tag {
            EXCEPTION => {
                let (kind, codes) = bytes.split_at_checked(8).ok_or(wrong)?;
                let (codes, []) = codes.as_chunks::<8>() else { return Err(wrong) };
                let codes: Vec<u64> = codes.iter().map(|code| u64::from_le_bytes(*code)).collect();
                let kind = u32::try_from(number(kind, 0, 4)).unwrap_or(0);
                self.exception = Some((kind.cast_signed(), codes)).filter(|(_, codes)| codes.len() <= 2);
                self.exception.is_some().then_some(()).ok_or(wrong)?;
            }
            STATE if self.states.len() < MOST_STATES => {
                let (words, []) = bytes.as_chunks::<4>() else { return Err(wrong) };
                let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
                let flavor = words.next().ok_or(wrong)?;
                let words: Vec<u32> = words.collect();
                if words.len() > MOST_WORDS {
                    return Err(wrong);
                }
                self.states.push(ThreadState { flavor, words });
            }
            EXECUTABLE => self.executable = PathBuf::from(OsString::from_vec(bytes.to_vec())),
            BUNDLE_VERSION => self.bundle_version = text(bytes),
            tag::REASON => self.reason = Some(text(bytes)),
            tag::ANNOTATION if self.annotations.len() < MOST_ANNOTATIONS => {
                let end = bytes.iter().position(|byte| *byte == 0).ok_or(wrong)?;
                let (key, value) = bytes.split_at_checked(end).ok_or(wrong)?;
                self.annotations.push((text(key), text(value.get(1..).unwrap_or(&[]))));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account {
            thread_id: 0x1_0000_1a2b,
            exception: Some((1, vec![1, 0xffff_8000_0000_0010])),
            states: vec![
                ThreadState { flavor: 6, words: (0..68).collect() },
                ThreadState { flavor: 7, words: vec![0x10, 0, 0x9200_0046, 0] },
            ],
            executable: "/Applications/Example.app/Contents/MacOS/Example".into(),
            bundle_version: "7.2.1".into(),
            annotations: vec![("channel".into(), "beta".into()), ("leer".into(), String::new())],
            reason: Some("because".into()),
        }
    }

    #[test]
    fn an_account_is_read_as_it_was_written() {
        assert_eq!(Account::decode(&account().encode()), Ok(account()));
        let calm = Account { exception: None, states: Vec::new(), ..account() };
        assert_eq!(Account::decode(&calm.encode()), Ok(calm));
    }

    #[test]
    fn annotations_that_have_no_room_are_left_out_before_anything_else() {
        let value = "x".repeat(4000);
        let annotations = (0..60).map(|number| (number.to_string(), value.clone())).collect();
        let long = Account { annotations, ..account() };
        let read = Account::decode(&long.encode()).unwrap();
        assert_eq!(read.states, account().states);
        assert_eq!(read.annotations, long.annotations[..read.annotations.len()]);
        assert!((20..30).contains(&read.annotations.len()), "{}", read.annotations.len());
    }

    #[test]
    fn a_field_of_a_wrong_size_and_a_missing_thread_are_refused() {
        let refused = |tag, bytes: &[u8]| {
            let mut buffer = [0; 256];
            let mut writer = MessageWriter::new(&mut buffer, 1).unwrap();
            writer.field(tag, &[bytes]);
            assert_eq!(Account::decode(writer.finish()), Err(Malformed::Missing(tag)));
        };
        refused(THREAD_ID, &[1; 7]);
        refused(EXCEPTION, &[1; 7]);
        refused(EXCEPTION, &[1; 12]);
        refused(EXCEPTION, &[1; 8 + 3 * 8]);
        refused(STATE, &[]);
        refused(STATE, &[1; 6]);
        refused(tag::ANNOTATION, b"no end");
        let mut buffer = [0; 64];
        let empty = MessageWriter::new(&mut buffer, 1).unwrap().finish();
        assert_eq!(Account::decode(empty), Err(Malformed::Missing(THREAD_ID)));
    }

    #[test]
    fn no_change_of_a_message_is_too_much_for_the_reader() {
        let message = account().encode();
        for length in 0..message.len() {
            assert!(Account::decode(&message[..length]).is_err());
        }
        for at in 0..message.len() {
            for value in [0, 0x7f, 0xff] {
                let mut changed = message.clone();
                changed[at] = value;
                if let Ok(read) = Account::decode(&changed) {
                    assert!(read.states.len() <= MOST_STATES);
                }
            }
        }
    }
}
