//! The last resort of a crashing process: it writes its own minidump.
//!
//! When no other process can (the handler is dead, stopped or cannot be reached), [`Recorder::record`] writes registers,
//! stacks, modules, the exception and [`Annotations`] into a file that was opened before, working in memory that was
//! set aside before. It allocates nothing, takes no lock, and calls the kernel and nothing else: no C library, no
//! standard library. It reads all memory through the kernel, so that no address can make it fault, and every loop has an
//! end. `docs/last-resort.md` tells what such a dump holds, what it cannot hold, and which system calls it needs.
//!
//! ```no_run
//! # use minidump_record::{Annotations, Context, Crash, MEMORY_SIZE, Recorder};
//! # use std::sync::OnceLock;
//! static RECORDER: OnceLock<Recorder> = OnceLock::new();
//! static ANNOTATIONS: Annotations = Annotations::new();
//!
//! # fn prepare() {
//! let memory = Box::leak(vec![0; MEMORY_SIZE].into_boxed_slice());
//! RECORDER.get_or_init(|| Recorder::new(memory).unwrap());
//! # }
//! // In the signal handler; `fd` was opened before.
//! # fn handler(tid: i32, signal: i32, code: i32, address: u64, ucontext: *const core::ffi::c_void, fd: i32) {
//! let Some(context) = (unsafe { Context::from_ucontext(ucontext) }) else { return };
//! let crash = Crash { tid, signal, code, address, parameters: &[], context: &context };
//! if let Some(recorder) = RECORDER.get() {
//!     let _ = recorder.record(&crash, fd, &ANNOTATIONS);
//! }
//! # }
//! ```
#![cfg_attr(not(test), no_std)]
#![warn(missing_docs)]

mod annotations;
mod bytes;
mod context;
mod crash_thread;
mod directory;
mod elf;
mod facts;
mod maps;
mod memory;
mod modules;
mod notes;
mod output;
mod proc_fs;
mod record;
mod scratch;
mod stack;
mod strings;
mod sys;
mod table;
mod texts;
mod threads;
mod utf8;

pub use annotations::{AnnotationError, Annotations, MAX_ANNOTATIONS, MAX_KEY, MAX_VALUE};
pub use context::{Context, FXSAVE_SIZE, REGISTER_COUNT};
pub use record::{Crash, RawFd, RecordError, Recorder};
pub use scratch::{MAX_MODULES, MAX_THREADS, MEMORY_SIZE};
