use super::super::app_memory::AppMemory;
use super::super::crash_context::raw;
use super::super::maps_reader::MappingEntry;
use super::*;
use crate::snapshot::ModuleId;
use std::io::Cursor;

fn context(tid: i32) -> CrashContext {
    let mut inner =
        raw::CrashContext::from_bytes(&vec![0; size_of::<raw::CrashContext>()]).expect("of the right size");
    inner.pid = 20;
    inner.tid = tid;
    inner.siginfo.ssi_signo = 11;
    CrashContext { inner }
}

#[test]
fn without_settings_the_options_are_the_default_ones_but_for_the_thread() {
    let options = MinidumpWriter::new(20, 21).dump_options();
    let expected = DumpOptions { blamed_thread: Some(21), ..DumpOptions::default() };
    assert_eq!(format!("{options:?}"), format!("{expected:?}"));
}

#[test]
fn each_setting_reaches_its_option() {
    let mut writer = MinidumpWriterConfig::new(20, 21);
    writer
        .set_minidump_size_limit(65536)
        .set_user_mapping_list(vec![MappingEntry { identifier: vec![1, 2], ..MappingEntry::default() }])
        .set_app_memory(vec![AppMemory { ptr: 0x1000, length: 0x20 }])
        .set_crash_context(context(21))
        .sanitize_stack()
        .stop_timeout(Duration::from_millis(700))
        .set_direct_auxv_dump_info(DirectAuxvDumpInfo { entry_address: 9, ..DirectAuxvDumpInfo::default() });
    let options = writer.dump_options();
    assert_eq!(options.memory.budget, 65536);
    assert_eq!(options.user_modules.len(), 1);
    assert_eq!(options.user_modules[0].id.as_ref().map(ModuleId::as_bytes), Some([1, 2].as_slice()));
    assert_eq!(options.memory.application, [(0x1000, 0x20)]);
    assert_eq!(options.crash.map(|crash| crash.exception.code), Some(11));
    assert!(options.sanitize);
    assert_eq!(options.deadline, Duration::from_millis(700));
    assert_eq!(options.auxv, Some(AuxvOverride { entry: 9, ..AuxvOverride::default() }));
}

#[test]
fn stacks_are_skipped_only_when_asked_for() {
    let mut writer = MinidumpWriter::new(20, 21);
    writer.set_principal_mapping_address(0x5000);
    assert_eq!(writer.dump_options().memory.only_stacks_referring_to, None);
    writer.skip_stacks_if_mapping_unreferenced();
    assert_eq!(writer.dump_options().memory.only_stacks_referring_to, Some((0x5000, 0)));
    let mut writer = MinidumpWriter::new(20, 21);
    writer.skip_stacks_if_mapping_unreferenced();
    assert_eq!(
        writer.dump_options().memory.only_stacks_referring_to,
        Some((0, 0)),
        "nothing refers to nothing"
    );
}

#[test]
fn the_crash_is_that_of_the_blamed_thread() {
    let mut writer = MinidumpWriter::new(20, 21);
    writer.set_crash_context(context(22));
    assert_eq!(writer.dump_options().crash.map(|crash| crash.exception.thread), Some(21));
    let mut writer = MinidumpWriter::new(20, 0);
    writer.set_crash_context(context(22));
    assert_eq!(writer.dump_options().crash.map(|crash| crash.exception.thread), Some(22));
    assert_eq!(writer.dump_options().blamed_thread, None);
}

#[test]
fn a_process_is_told_that_it_cannot_dump_itself() {
    let own = i32::try_from(std::process::id()).expect("ids are positive");
    let mut file = Cursor::new(Vec::new());
    let error = MinidumpWriter::new(own, own).dump(&mut file).expect_err("refused");
    assert!(matches!(error, WriterError::InitError(InitError::CannotPtraceSameProcess(pid)) if pid == own));
    assert!(file.into_inner().is_empty());
}
