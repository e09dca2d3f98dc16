use crate::minidump::apple_exception;
use crate::minidump::context::ContextKind;
use crate::minidump::{FormatError, MDRawDirectory, MemoryWriter, SectionWriter};
use minidump_common::format::{
    MINIDUMP_EXCEPTION, MINIDUMP_EXCEPTION_STREAM, MINIDUMP_LOCATION_DESCRIPTOR, MINIDUMP_STREAM_TYPE,
};
use minidump_snapshot::{OperatingSystem, Snapshot, Thread};

/// The code that Breakpad's tools write for a dump nobody crashed for (`MD_EXCEPTION_CODE_LIN_DUMP_REQUESTED`).
const DUMP_REQUESTED: u32 = 0xffff_ffff;

/// Why the dump was taken, with a copy of the registers of the thread concerned.
///
/// It is there although nothing crashed, too: readers take the thread to show first from it. Only of a process of Windows
/// it is not then, because its debuggers would show the code as an exception; `BreakpadInfo` tells the thread there. The context is a copy of the thread's own, so
/// that the first bytes of a file that was cut off are worth the most.
pub(crate) struct ExceptionSection<'a> {
    pub snapshot: &'a Snapshot,
    pub contexts: ContextKind,
}

impl ExceptionSection<'_> {
    fn thread(&self) -> Option<&Thread> {
        let snapshot = self.snapshot;
        let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
        match crashed.or(snapshot.blamed_thread) {
            Some(id) => snapshot.threads.iter().find(|thread| thread.id == id),
            None => snapshot.threads.first(),
        }
    }

    fn record(&self, thread: Option<&Thread>) -> MINIDUMP_EXCEPTION {
        let Some(exception) = &self.snapshot.exception else {
            let address = thread.and_then(Thread::instruction_pointer).unwrap_or(0);
            return MINIDUMP_EXCEPTION {
                exception_code: DUMP_REQUESTED,
                exception_address: address,
                ..MINIDUMP_EXCEPTION::default()
            };
        };
        let (exception_code, exception_flags) = match self.snapshot.system.os {
            OperatingSystem::MacOs | OperatingSystem::Ios => apple_exception::code_and_flags(exception),
            _ => (exception.code, exception.flags),
        };
        let mut record = MINIDUMP_EXCEPTION {
            exception_code,
            exception_flags,
            exception_address: exception.address,
            ..MINIDUMP_EXCEPTION::default()
        };
        for (slot, parameter) in record.exception_information.iter_mut().zip(&exception.parameters) {
            *slot = *parameter;
            record.number_parameters += 1;
        }
        record
    }
}

impl SectionWriter for ExceptionSection<'_> {
    fn write_section(&self, buffer: &mut MemoryWriter) -> Result<MDRawDirectory, FormatError> {
        let thread = self.thread();
        buffer.align(4);
        let start = buffer.position();
        let slot = buffer.reserve_array::<MINIDUMP_EXCEPTION_STREAM>(1)?;
        let location = buffer.location_since(start)?;
        let thread_context = match thread {
            Some(thread) => self.contexts.write(buffer, thread)?,
            None => MINIDUMP_LOCATION_DESCRIPTOR::default(),
        };
        let crashed = self.snapshot.exception.as_ref().map(|exception| exception.thread);
        let stream = MINIDUMP_EXCEPTION_STREAM {
            thread_id: crashed
                .or(self.snapshot.blamed_thread)
                .or(thread.map(|thread| thread.id))
                .unwrap_or(0),
            __align: 0,
            exception_record: self.record(thread),
            thread_context,
        };
        buffer.fill(&slot, 0, stream)?;
        Ok(MDRawDirectory { stream_type: self.section_type(), location })
    }

    fn section_type(&self) -> u32 {
        MINIDUMP_STREAM_TYPE::ExceptionStream.into()
    }

    fn size_hint(&self) -> usize {
        self.contexts.size() as usize + 256
    }
}
