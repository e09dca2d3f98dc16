//! What is known of a dump, as the JSON file beside it holds it.

use super::{Id, clock};
use minidump_writer::snapshot::{SoftError, Stage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest metadata file that is read, in bytes. Larger metadata are cut when written.
pub const MAX_METADATA_BYTES: u64 = 1 << 20;

/// The version of the metadata that this code writes.
pub const METADATA_VERSION: u32 = 1;

/// What of a text is kept where metadata are too large, in bytes.
pub(super) const MOST_TEXT: usize = 4096;
/// The same for the essentials: five texts of six bytes a character stay below 4 KiB with the rest.
const LEAST_TEXT: usize = 96;
/// How many soft errors and annotations are kept at first where metadata are too large.
const MOST_ITEMS: usize = 100;

/// What is known of a dump. `docs/dump-directory.md` has the table of fields.
///
/// A field that is missing in a file has its default here; fields that are unknown are passed over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Version of this description, [`METADATA_VERSION`].
    pub version: u32,
    /// When the crash was noticed, in microseconds since 1970-01-01 00:00 UTC.
    pub when_us: u64,
    /// The program, by the name under which its crashes are counted.
    pub program: String,
    /// Path of its executable; empty when unknown.
    pub executable: String,
    /// The process that crashed, as the writer sees it.
    pub pid: Option<u32>,
    /// The thread that crashed.
    pub tid: Option<u32>,
    /// Why the dump was taken, in words, such as "SIGSEGV at 0x0".
    pub reason: String,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// Which way the dump came: "supervisor", "core-handler", "client" and the like.
    pub source: String,
    /// Name and version of what wrote the dump.
    pub writer: String,
    /// What the program said about itself.
    pub annotations: BTreeMap<String, String>,
    /// What could not be captured: serialised [`SoftError`]s, and whatever later versions put here.
    pub soft_errors: Vec<serde_json::Value>,
    /// The dump ends early: the disk was full or its writer died.
    pub partial: bool,
    /// Crashes of the same program that got no dump since the one before.
    pub dropped: u64,
}

impl Default for Metadata {
    /// Nothing is known but the version. The time is 0.
    fn default() -> Self {
        Self {
            version: METADATA_VERSION,
            when_us: 0,
            program: String::new(),
            executable: String::new(),
            pid: None,
            tid: None,
            reason: String::new(),
            signal: None,
            source: String::new(),
            writer: String::new(),
            annotations: BTreeMap::new(),
            soft_errors: Vec::new(),
            partial: false,
            dropped: 0,
        }
    }
}

impl Metadata {
    /// Metadata of a crash of `program` now, written by this version; all else is for the caller to fill in.
    #[must_use]
    pub fn now(program: impl Into<String>) -> Self {
        Self {
            when_us: clock::now_us(),
            program: program.into(),
            writer: concat!("minidump-handler ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Self::default()
        }
    }

    /// Adds a soft error.
    pub fn note(&mut self, error: &SoftError) {
        let value = serde_json::to_value(error).unwrap_or_else(|_| error.message.clone().into());
        self.soft_errors.push(value);
    }

    /// What stands in for metadata that are missing or cannot be read.
    pub(super) fn unknown(id: &Id, why: &str) -> Self {
        let mut metadata = Self { when_us: id.when_us(), ..Self::default() };
        metadata.note(&SoftError::new(Stage::Format, format!("the metadata cannot be read: {why}")));
        metadata
    }

    /// Reads what [`Metadata::encode`] wrote, or another version of it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// One JSON object, one field a line, of at most [`MAX_METADATA_BYTES`]. Where all would be longer, soft errors
    /// go first, then annotations, then the ends of texts, and a soft error says so.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let fits =
            |text: &Vec<u8>| u64::try_from(text.len()).is_ok_and(|length| length <= MAX_METADATA_BYTES);
        let mut text = self.text()?;
        for cut in [fewer_items, no_items, short_texts] {
            if fits(&text) {
                break;
            }
            let mut less = self.clone();
            cut(&mut less);
            less.note(&SoftError::new(
                Stage::Format,
                "the metadata are too long, so some of them are left out",
            ));
            text = less.text()?;
        }
        Ok(text)
    }

    /// What fits in the page that the file of a dump just begun has already, whatever the texts are made of.
    pub(super) fn essentials(&self) -> Self {
        let mut least = self.clone();
        no_items(&mut least);
        shorten(&mut least, LEAST_TEXT);
        least.note(&SoftError::new(Stage::Format, "the disk was full, so only the essentials were kept"));
        least
    }

    fn text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

fn fewer_items(metadata: &mut Metadata) {
    metadata.soft_errors.truncate(MOST_ITEMS);
    let annotations = std::mem::take(&mut metadata.annotations).into_iter().take(MOST_ITEMS);
    metadata.annotations =
        annotations.map(|(key, value)| (short(key, MOST_TEXT), short(value, MOST_TEXT))).collect();
}

fn no_items(metadata: &mut Metadata) {
    metadata.soft_errors.clear();
    metadata.annotations.clear();
}

fn short_texts(metadata: &mut Metadata) {
    no_items(metadata);
    shorten(metadata, MOST_TEXT);
}

fn shorten(metadata: &mut Metadata, most: usize) {
    let Metadata { program, executable, reason, source, writer, .. } = metadata;
    for text in [program, executable, reason, source, writer] {
        *text = short(std::mem::take(text), most);
    }
}

/// The beginning of a text of at most `most` bytes, cut between characters.
pub(super) fn short(mut text: String, most: usize) -> String {
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    if text.len() > most {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    fn soft_error() -> impl Strategy<Value = SoftError> {
        (".{0,40}", any::<Option<u32>>(), any::<Option<u64>>(), any::<Option<i32>>()).prop_map(
            |(message, thread, address, os_error)| {
                let mut error = SoftError::new(Stage::Memory, message);
                (error.thread, error.address, error.os_error) = (thread, address, os_error);
                error
            },
        )
    }

    prop_compose! {
        fn metadata()(
            (version, when_us, pid, tid) in any::<(u32, u64, Option<u32>, Option<u32>)>(),
            (program, executable, reason, source, writer) in any::<(String, String, String, String, String)>(),
            signal in option::of(any::<i32>()),
            annotations in btree_map(any::<String>(), any::<String>(), 0..8),
            errors in vec(soft_error(), 0..8),
            (partial, dropped) in any::<(bool, u64)>(),
        ) -> (Metadata, Vec<SoftError>) {
            let mut metadata = Metadata {
                version, when_us, program, executable, pid, tid, reason, signal, source, writer, annotations,
                soft_errors: Vec::new(), partial, dropped,
            };
            for error in &errors {
                metadata.note(error);
            }
            (metadata, errors)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_metadata_are_read_as_written((metadata, errors) in metadata()) {
            let read = Metadata::decode(&metadata.encode().unwrap()).unwrap();
            let told: Vec<SoftError> =
                read.soft_errors.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect();
            prop_assert_eq!(told, errors);
            prop_assert_eq!(read, metadata);
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Metadata::decode(&bytes);
        }
    }

    #[test]
    fn unknown_fields_are_passed_over_and_missing_ones_have_defaults() {
        let text = br#"{"version": 7, "program": "a", "colour": {"red": [1]}, "soft_errors": [3, "x"]}"#;
        let read = Metadata::decode(text).unwrap();
        assert_eq!((read.version, read.program.as_str(), read.pid, read.partial), (7, "a", None, false));
        assert_eq!(read.soft_errors, [serde_json::json!(3), serde_json::json!("x")]);
    }

    #[test]
    fn the_essentials_fit_in_a_page_and_tell_what_happened() {
        let mut metadata = Metadata {
            when_us: u64::MAX,
            executable: "\0".repeat(10_000),
            pid: Some(u32::MAX),
            tid: Some(u32::MAX),
            reason: "SIGSEGV at 0x0".into(),
            signal: Some(i32::MIN),
            source: "\u{1}".repeat(10_000),
            writer: "\u{1}".repeat(10_000),
            dropped: u64::MAX,
            ..Metadata::now("\u{1}".repeat(10_000))
        };
        metadata.annotations.insert("build".into(), "17".into());
        let text = metadata.essentials().encode().unwrap();
        assert!(text.len() <= 4096, "{}", text.len());
        let read = Metadata::decode(&text).unwrap();
        assert_eq!((read.reason, read.pid, read.annotations.len()), (metadata.reason, metadata.pid, 0));
        assert_eq!(read.executable, "\0".repeat(LEAST_TEXT));
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let text = format!(r#"{{"soft_errors": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(Metadata::decode(text.as_bytes()).is_err());
    }

    fn cut(metadata: &Metadata) -> Metadata {
        let text = metadata.encode().unwrap();
        assert!(text.len() as u64 <= MAX_METADATA_BYTES, "{}", text.len());
        let read = Metadata::decode(&text).unwrap();
        let last: SoftError = serde_json::from_value(read.soft_errors.last().unwrap().clone()).unwrap();
        assert_eq!(last.message, "the metadata are too long, so some of them are left out");
        read
    }

    #[test]
    fn metadata_that_are_too_long_lose_what_matters_least() {
        let mut metadata = Metadata { reason: "SIGSEGV at 0x0".into(), ..Metadata::now("program") };
        metadata.annotations.insert("build".into(), "17".into());
        for number in 0..20_000 {
            metadata
                .note(&SoftError::new(Stage::Memory, format!("page {number} is missing in the core file")));
        }
        let read = cut(&metadata);
        assert_eq!(read.soft_errors.len(), MOST_ITEMS + 1);
        assert_eq!(read.annotations, metadata.annotations);

        metadata.soft_errors = vec!["x".repeat(100_000).into(); 20];
        let read = cut(&metadata);
        assert_eq!((read.soft_errors.len(), read.annotations.len()), (1, 0));
        assert_eq!(read.reason, metadata.reason);

        metadata.executable = "é".repeat(600_000);
        let read = cut(&metadata);
        assert_eq!(read.executable, "é".repeat(MOST_TEXT / 2));
        assert_eq!((read.program.as_str(), read.reason), ("program", metadata.reason));
    }
}
