use super::SectionWriter;
use super::context::ContextKind;
use super::streams::{
    AppleFactsSection, BreakpadInfoSection, CrashpadInfoSection, DsoDebugSection, ExceptionSection,
    HandleDataSection, MacBootargsSection, MacCrashInfoSection, MemoryInfoListSection, MiscInfoSection,
    ModuleListSection, NativeContextsSection, SystemInfoSection, ThreadExtraSection, ThreadInfoListSection,
    ThreadListSection, ThreadNamesSection, UnloadedModuleListSection, WindowsHandlesSection,
    count_of_regions,
};
use crate::apple_record;
use minidump_snapshot::{AppleFacts, MemoryPlan, OperatingSystem, Snapshot};

/// The streams made from the snapshot, in the order of the file, without the texts.
pub(crate) fn own_sections<'a>(
    snapshot: &'a Snapshot,
    plan: &'a MemoryPlan,
    contexts: ContextKind,
) -> Vec<Box<dyn SectionWriter + 'a>> {
    let mut sections: Vec<Box<dyn SectionWriter + 'a>> = Vec::new();
    // A dump of Windows that nobody crashed for has no exception: its debuggers take every one for a crash.
    if snapshot.system.os != OperatingSystem::Windows || snapshot.exception.is_some() {
        sections.push(Box::new(ExceptionSection { snapshot, contexts }));
    }
    let always: [Box<dyn SectionWriter + 'a>; 7] = [
        Box::new(ThreadListSection { snapshot, plan, contexts }),
        Box::new(SystemInfoSection { snapshot, contexts }),
        Box::new(ModuleListSection(snapshot)),
        Box::new(ThreadNamesSection(snapshot)),
        Box::new(MiscInfoSection(snapshot)),
        Box::new(ThreadInfoListSection(snapshot)),
        Box::new(ThreadExtraSection(snapshot)),
    ];
    sections.extend(always);
    // An empty map would hide the one in LinuxMaps from readers that prefer this stream.
    if count_of_regions(snapshot) > 0 {
        sections.push(Box::new(MemoryInfoListSection(snapshot)));
    }
    sections.extend(handles(snapshot));
    let address_mask = snapshot.apple.as_ref().and_then(address_mask);
    if !snapshot.annotations.is_empty() || address_mask.is_some() {
        sections.push(Box::new(CrashpadInfoSection { annotations: &snapshot.annotations, address_mask }));
    }
    if let Some(debug) = snapshot.linux.as_ref().and_then(|facts| facts.dso_debug.as_ref()) {
        sections.push(Box::new(DsoDebugSection(debug)));
    }
    sections.extend(apple_sections(snapshot));
    sections.extend(windows_sections(snapshot));
    sections
}

/// The list of handles, if there are any.
fn handles<'a>(snapshot: &'a Snapshot) -> Option<Box<dyn SectionWriter + 'a>> {
    match &snapshot.windows {
        Some(facts) if !facts.handles.is_empty() => Some(Box::new(WindowsHandlesSection(&facts.handles))),
        _ if snapshot.handles.is_empty() => None,
        _ => Some(Box::new(HandleDataSection(snapshot))),
    }
}

/// The streams that only processes of Windows have.
fn windows_sections<'a>(snapshot: &'a Snapshot) -> Vec<Box<dyn SectionWriter + 'a>> {
    let mut sections: Vec<Box<dyn SectionWriter + 'a>> = Vec::new();
    let Some(facts) = &snapshot.windows else { return sections };
    let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
    if let (Some(requesting), None) = (crashed.or(snapshot.blamed_thread), &snapshot.apple) {
        sections.push(Box::new(BreakpadInfoSection { requesting }));
    }
    if !facts.unloaded_modules.is_empty() {
        sections.push(Box::new(UnloadedModuleListSection(&facts.unloaded_modules)));
    }
    sections.extend(NativeContextsSection::new(facts).map(|section| Box::new(section) as Box<_>));
    sections
}

/// The streams that only Mach tasks have.
fn apple_sections<'a>(snapshot: &'a Snapshot) -> Vec<Box<dyn SectionWriter + 'a>> {
    let mut sections: Vec<Box<dyn SectionWriter + 'a>> = Vec::new();
    if let Some(facts) = &snapshot.apple {
        let crashed = snapshot.exception.as_ref().map(|exception| exception.thread);
        if let Some(requesting) = crashed.or(snapshot.blamed_thread) {
            sections.push(Box::new(BreakpadInfoSection { requesting }));
        }
        if !facts.crash_info.is_empty() {
            sections.push(Box::new(MacCrashInfoSection(&facts.crash_info)));
        }
        if let Some(boot_args) = &facts.boot_args {
            sections.push(Box::new(MacBootargsSection(boot_args)));
        }
    }
    if let Some(record) = apple_record::beside_streams(snapshot) {
        sections.push(Box::new(AppleFactsSection(record)));
    }
    sections
}

/// The bits of a pointer that are no part of the address.
fn address_mask(facts: &AppleFacts) -> Option<u64> {
    let bits = facts.address_bits.filter(|bits| (1..64).contains(bits))?;
    Some(u64::MAX << bits)
}
