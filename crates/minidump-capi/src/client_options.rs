//! What C asks of a client.
#![expect(unsafe_code, reason = "structures of C")]

use crate::arguments::{self, Annotation, Versioned};
use crate::failure::Failure;
use crate::first_chance::{self, FirstChance};
use minidump_handler::client::{Builder, Client};
use std::ffi::c_char;
use std::mem::offset_of;
use std::time::Duration;

/// `mdw_client_options`. Zero and null stand for the default in each field.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct ClientOptions {
    /// Bytes of this structure, as the caller knows it.
    pub size: usize,
    /// The dump directory.
    pub dump_dir: *const c_char,
    /// The program `minidump-writer`.
    pub handler_path: *const c_char,
    /// Where a handler listens that runs already.
    pub socket_path: *const c_char,
    /// The program's version.
    pub version: *const c_char,
    /// More arguments for the handler; a null pointer at the end.
    pub handler_arguments: *const *const c_char,
    /// Paths of files to keep with each dump; a null pointer at the end.
    pub attachments: *const *const c_char,
    /// What the program says of itself.
    pub annotations: *const Annotation,
    /// How many there are.
    pub annotation_count: usize,
    /// Looks at each signal first.
    pub first_chance: Option<FirstChance>,
    /// How long a crash waits for the handler, in milliseconds.
    pub patience_ms: u32,
    /// Bits: 1 leave alone threads that are there already.
    pub flags: u32,
}

// SAFETY: numbers, pointers and a function that may be null, the first of which is a usize.
unsafe impl Versioned for ClientOptions {
    const NAME: &'static str = "mdw_client_options";
    const FIRST: usize = offset_of!(Self, flags) + size_of::<u32>();
}

const LEAVE_PRESENT_THREADS: u32 = 1;

impl ClientOptions {
    /// The builder of such a client.
    ///
    /// # Safety
    /// Pointers must be null or as their fields say.
    pub(crate) unsafe fn wanted(&self) -> Result<Builder, Failure> {
        if self.flags & !LEAVE_PRESENT_THREADS != 0 {
            return Err(Failure::Newer("flags of mdw_client_options"));
        }
        let mut builder = Client::builder().present_threads(self.flags & LEAVE_PRESENT_THREADS == 0);
        // SAFETY: the caller's promise, for this and all that follow.
        unsafe {
            if let Some(path) = arguments::optional_path("dump_dir", self.dump_dir)? {
                builder = builder.dump_dir(path);
            }
            if let Some(path) = arguments::optional_path("handler_path", self.handler_path)? {
                builder = builder.handler(path);
            }
            if let Some(path) = arguments::optional_path("socket_path", self.socket_path)? {
                builder = builder.connect(path);
            }
            if let Some(version) = arguments::optional_text("version", self.version)? {
                builder = builder.version(version);
            }
            builder =
                builder.handler_arguments(arguments::strings("handler_arguments", self.handler_arguments)?);
            for path in arguments::strings("attachments", self.attachments)? {
                builder = builder.attachment(path);
            }
            for (key, value) in arguments::annotations(self.annotations, self.annotation_count)? {
                builder = builder.annotation(key, value);
            }
        }
        if self.patience_ms != 0 {
            builder = builder.patience(Duration::from_millis(self.patience_ms.into()));
        }
        if self.first_chance.is_some() {
            builder = builder.first_chance(first_chance::ask);
        }
        Ok(builder)
    }
}
