//! Why a dump is taken: the exception that it is to show.

use super::context::Context;
use super::errors::Error;
use super::held_thread::HeldThread;
use super::own_thread::Place;
use std::sync::Arc;
use windows_sys::Win32::Foundation::{FALSE, TRUE};
use windows_sys::Win32::System::Diagnostics::Debug::{
    EXCEPTION_POINTERS, EXCEPTION_RECORD, MINIDUMP_EXCEPTION_INFORMATION,
};

/// The exception.
pub enum Cause {
    /// None.
    Nothing,
    /// As the crashed process has it.
    Pointers {
        /// Thread that it happened on.
        thread: u32,
        /// Of its `EXCEPTION_POINTERS`, in the process that is dumped, and known to be readable.
        address: usize,
        /// Whether that process is another one.
        in_client: bool,
    },
    /// As it was copied or made up.
    Copy {
        /// Thread that it happened on.
        thread: u32,
        /// What happened.
        record: Record,
        /// The thread's registers at that instant.
        context: Box<Context>,
    },
    /// None, but a thread is to be shown as if it had one, where it is just now.
    Thread {
        /// The thread.
        held: Arc<HeldThread>,
        /// The exception's code.
        code: i32,
    },
}

/// An `EXCEPTION_RECORD` without pointers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record {
    /// Code.
    pub code: i32,
    /// `EXCEPTION_*` flags.
    pub flags: u32,
    /// Where it happened.
    pub address: usize,
    /// How many of `parameters` count; 15 at most.
    pub parameter_count: u32,
    /// Parameters.
    pub parameters: [usize; 15],
}

impl Record {
    /// One that is made up: code and place.
    pub fn made_up(code: i32, context: &Context) -> Self {
        Self { code, address: context.instruction_pointer(), ..Self::default() }
    }

    fn as_the_system_has_it(&self) -> EXCEPTION_RECORD {
        EXCEPTION_RECORD {
            ExceptionCode: self.code,
            ExceptionFlags: self.flags,
            ExceptionRecord: std::ptr::null_mut(),
            ExceptionAddress: std::ptr::without_provenance_mut(self.address),
            NumberParameters: self.parameter_count.min(15),
            ExceptionInformation: self.parameters,
        }
    }
}

impl Cause {
    /// Calls `work` with the exception as `MiniDumpWriteDump` takes it. A thread to be shown is held meanwhile; where nobody
    /// watches over it, only until its registers are read. From when it is held until `work` begins nothing is allocated.
    pub fn tell<R>(
        self,
        place: Place,
        work: impl FnOnce(Option<&MINIDUMP_EXCEPTION_INFORMATION>) -> R,
    ) -> Result<R, Error> {
        match self {
            Self::Nothing => Ok(work(None)),
            Self::Pointers { thread, address, in_client } => {
                Ok(work(Some(&MINIDUMP_EXCEPTION_INFORMATION {
                    ThreadId: thread,
                    ExceptionPointers: std::ptr::with_exposed_provenance_mut(address),
                    ClientPointers: if in_client { TRUE } else { FALSE },
                })))
            }
            Self::Copy { thread, record, mut context } => Ok(with_own(thread, &record, &mut context, work)),
            Self::Thread { held, code } => {
                let mut context = Context::boxed();
                held.hold(&mut context)?;
                if place == Place::Here {
                    held.release();
                }
                let record = Record::made_up(code, &context);
                let result = with_own(held.id(), &record, &mut context, work);
                held.release();
                Ok(result)
            }
        }
    }
}

fn with_own<R>(
    thread: u32,
    record: &Record,
    context: &mut Context,
    work: impl FnOnce(Option<&MINIDUMP_EXCEPTION_INFORMATION>) -> R,
) -> R {
    let mut record = record.as_the_system_has_it();
    let mut pointers =
        EXCEPTION_POINTERS { ExceptionRecord: &raw mut record, ContextRecord: &raw mut context.0 };
    work(Some(&MINIDUMP_EXCEPTION_INFORMATION {
        ThreadId: thread,
        ExceptionPointers: &raw mut pointers,
        ClientPointers: FALSE,
    }))
}
