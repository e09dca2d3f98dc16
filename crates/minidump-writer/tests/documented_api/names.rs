//! The names and the signatures that programs rely on. Nothing here runs but the assertions on constants.

use minidump_writer::app_memory::{AppMemory, AppMemoryList};
use minidump_writer::crash_context::CrashContext;
use minidump_writer::errors::{FileWriterError, StopProcessError, WriterError};
use minidump_writer::maps_reader::{
    DELETED_SUFFIX, MappingEntry, MappingInfo, MappingList, SystemMappingInfo,
};
use minidump_writer::minidump_cpu::{FloatStateCPU, RawContextCPU};
use minidump_writer::minidump_writer::{
    AuxvType, DirectAuxvDumpInfo, MinidumpWriter, MinidumpWriterConfig, STOP_TIMEOUT, errors::InitError,
};
use minidump_writer::{CrashContextExt, LINUX_GATE_LIBRARY_NAME, Pid, minidump_format as format};
use std::fs::File;
use std::io::Cursor;
use std::time::Duration;

/// A setter.
type Set<T> = fn(&mut MinidumpWriter, T) -> &mut MinidumpWriter;
/// A setter without a value.
type Switch = fn(&mut MinidumpWriter) -> &mut MinidumpWriter;
type Result = std::result::Result<Vec<u8>, WriterError>;

#[test]
fn settings_take_what_programs_pass_and_can_be_chained() {
    let _: fn(Pid, Pid) -> MinidumpWriter = MinidumpWriter::new;
    let _: Set<u64> = MinidumpWriter::set_minidump_size_limit;
    let _: Set<MappingList> = MinidumpWriter::set_user_mapping_list;
    let _: Set<usize> = MinidumpWriter::set_principal_mapping_address;
    let _: Set<AppMemoryList> = MinidumpWriter::set_app_memory;
    let _: Set<CrashContext> = MinidumpWriter::set_crash_context;
    let _: Set<CrashContextExt> = MinidumpWriterConfig::set_crash_context;
    let _: Set<Duration> = MinidumpWriter::stop_timeout;
    let _: Set<DirectAuxvDumpInfo> = MinidumpWriter::set_direct_auxv_dump_info;
    let _: Switch = MinidumpWriter::skip_stacks_if_mapping_unreferenced;
    let _: Switch = MinidumpWriter::sanitize_stack;
    let _: fn(&mut MinidumpWriter, &mut File) -> Result = MinidumpWriter::dump;
    let _: fn(MinidumpWriterConfig, &mut File) -> Result = MinidumpWriterConfig::write;
    let _: fn(&mut MinidumpWriter, &mut Cursor<Vec<u8>>) -> Result = MinidumpWriter::dump;
}

#[test]
fn settings_are_fields_too() {
    let mut writer = MinidumpWriter::new(1, 2);
    assert_eq!((writer.process_id, writer.blamed_thread), (1, 2));
    writer.minidump_size_limit = Some(1 << 20);
    writer.skip_stacks_if_mapping_unreferenced = true;
    writer.principal_mapping_address = Some(0x1000);
    writer.user_mapping_list.push(MappingEntry { mapping: MappingInfo::default(), identifier: Vec::new() });
    writer.app_memory.push(AppMemory { ptr: 0x1000, length: 8 });
    writer.sanitize_stack = true;
    writer.crash_context = None;
    writer.stop_timeout = STOP_TIMEOUT;
    writer.direct_auxv_dump_info = Some(DirectAuxvDumpInfo::default());
    assert_eq!(STOP_TIMEOUT, Duration::from_millis(100));
}

#[test]
fn a_crash_context_tells_its_registers() {
    let _: fn(&CrashContext) -> usize = CrashContext::get_instruction_pointer;
    let _: fn(&CrashContext) -> usize = CrashContextExt::get_stack_pointer;
    let _: fn(&CrashContext, &mut RawContextCPU) = CrashContext::fill_cpu_context;
    let _: fn(crash_context::CrashContext) -> CrashContextExt = |inner| CrashContextExt { inner };
    let _: fn(CrashContextExt) -> crash_context::CrashContext = |wrapper| wrapper.inner;
}

#[test]
fn auxiliary_values_have_the_layout_of_c() {
    let info = DirectAuxvDumpInfo {
        program_header_count: 1,
        program_header_address: 2,
        linux_gate_address: 3,
        entry_address: 4,
    };
    assert_eq!(size_of::<AuxvType>(), 8);
    // SAFETY: the structure is four integers without padding.
    let values: [u64; 4] = unsafe { std::mem::transmute(info) };
    assert_eq!(values, [1, 2, 3, 4]);
}

#[test]
fn errors_can_be_boxed_and_told_apart() {
    fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}
    is_an_error::<WriterError>();
    is_an_error::<InitError>();
    is_an_error::<FileWriterError>();
    let error = WriterError::from(InitError::from(StopProcessError {
        pid: 5,
        source: std::io::Error::from_raw_os_error(libc::EPERM),
    }));
    assert!(matches!(&error, WriterError::InitError(InitError::StopProcessFailed(_))), "{error}");
}

#[test]
fn structures_of_the_format_have_their_names() {
    assert_eq!(size_of::<RawContextCPU>(), 1232);
    assert_eq!(size_of::<FloatStateCPU>(), 512);
    assert_eq!(format::MD_HEADER_SIGNATURE, 0x504d_444d);
    let entry = format::MDRawDirectory { stream_type: 3, location: format::MDLocationDescriptor::default() };
    assert_eq!(entry.stream_type, format::MDStreamType::ThreadListStream as u32);
    assert_eq!(LINUX_GATE_LIBRARY_NAME, "linux-gate.so");
    assert_eq!(DELETED_SUFFIX, b" (deleted)");
    assert_eq!(SystemMappingInfo::default().end_address, 0);
}
