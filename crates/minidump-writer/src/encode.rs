//! From a capture to a file: hides what must not be in it, and hands the rest to the encoder of the format.

use crate::snapshot::{
    EnvironmentBlock, MaskedMemory, MemoryMode, MemoryPlan, MemorySource, OperatingSystem, SanitizedMemory,
    Snapshot, redact_environ, redact_wide_environ,
};
use crate::{DumpOptions, Format};
use minidump_common::format::MINIDUMP_STREAM_TYPE;
use minidump_formats::elf_core::{self, CoreOptions};
use minidump_formats::macho_core::{self, MachoCoreOptions};
use minidump_formats::minidump::{self, FormatError, LayoutOptions, SectionWriter, Written};
use std::io;
use std::ops::Range;

/// What hidden bytes of the environment read as, in the text and in memory alike.
const HIDDEN: u8 = b'*';

/// `MiniDumpWithFullMemory` and `MiniDumpFilterMemory` (minidumpapiset.h).
const WITH_FULL_MEMORY: u64 = 0x2;
const FILTER_MEMORY: u64 = 0x8;

/// What is to be written.
pub(crate) struct Captured<'a> {
    /// Facts. Secrets of the environment are blanked here, too.
    pub snapshot: &'a mut Snapshot,
    /// Which memory.
    pub plan: &'a MemoryPlan,
    /// Its bytes.
    pub memory: &'a dyn MemorySource,
    /// `memory` is known to hold every byte of the plan.
    pub is_complete: bool,
}

/// Writes a file of this format, of whose settings in `options` nothing else is looked at than what to hide and to leave
/// out.
pub(crate) fn encode(
    captured: Captured<'_>,
    format: Format,
    options: &DumpOptions,
    sections: &[&dyn SectionWriter],
    output: &mut dyn io::Write,
) -> Result<Written, FormatError> {
    let Captured { snapshot, plan, memory, is_complete } = captured;
    check_system(snapshot, format)?;
    let Secrets { narrow, wide, native } =
        if options.keep_environ { Secrets::default() } else { hide_environ(snapshot) };
    let masked = MaskedMemory::new(memory, &narrow, HIDDEN);
    let memory: &dyn MemorySource = if narrow.is_empty() { memory } else { &masked };
    let masked_wide = MaskedMemory::wide(memory, &wide, HIDDEN);
    let memory: &dyn MemorySource = if wide.is_empty() { memory } else { &masked_wide };
    let masked_native = MaskedMemory::wide(memory, &native, HIDDEN);
    let memory: &dyn MemorySource = if native.is_empty() { memory } else { &masked_native };
    let sanitized;
    let memory: &dyn MemorySource = if options.sanitize {
        sanitized = SanitizedMemory::new(memory, snapshot, plan);
        &sanitized
    } else {
        memory
    };
    match format {
        Format::Minidump => {
            let layout_options = LayoutOptions {
                extra_sections: sections,
                source_is_complete: is_complete,
                omit: &options.omit,
                flags: flags(options),
                ..LayoutOptions::default()
            };
            minidump::layout(snapshot, plan, &layout_options)?.write(memory, output)
        }
        Format::ElfCore => {
            leave_out(snapshot, &options.omit);
            let core_options = CoreOptions { source_is_complete: is_complete, ..CoreOptions::default() };
            elf_core::layout(snapshot, plan, &core_options)?.write(memory, output)
        }
        Format::MachOCore => {
            leave_out(snapshot, &options.omit);
            let core_options =
                MachoCoreOptions { source_is_complete: is_complete, ..MachoCoreOptions::default() };
            macho_core::layout(snapshot, plan, &core_options)?.write(memory, output)
        }
    }
}

/// Whether the process is one of an Apple system.
pub(crate) fn is_apples(snapshot: &Snapshot) -> bool {
    matches!(snapshot.system.os, OperatingSystem::MacOs | OperatingSystem::Ios)
}

/// Cores are of their own system: no debugger could make anything of another one's.
fn check_system(snapshot: &Snapshot, format: Format) -> Result<(), FormatError> {
    let core = match format {
        Format::Minidump => return Ok(()),
        Format::ElfCore => "an ELF",
        Format::MachOCore => "a Mach-O",
    };
    match (format, snapshot.system.os) {
        (_, OperatingSystem::Windows) => Err(FormatError::NoCore { core }),
        (Format::ElfCore, _) if is_apples(snapshot) => {
            Err(FormatError::OtherSystem { system: "an Apple system", core })
        }
        (Format::MachOCore, _) if !is_apples(snapshot) => {
            Err(FormatError::OtherSystem { system: "Linux", core })
        }
        _ => Ok(()),
    }
}

/// What the header says of the memory.
fn flags(options: &DumpOptions) -> u64 {
    let full = if options.memory.mode == MemoryMode::Full { WITH_FULL_MEMORY } else { 0 };
    let sanitized = if options.sanitize { FILTER_MEMORY } else { 0 };
    full | sanitized
}

/// Takes out of the facts what a minidump has in streams of these types: a core has the same facts in its notes, which
/// have no types of their own to choose by.
fn leave_out(snapshot: &mut Snapshot, streams: &[u32]) {
    let has = |stream: MINIDUMP_STREAM_TYPE| streams.contains(&stream.into());
    if has(MINIDUMP_STREAM_TYPE::ThreadNamesStream) {
        snapshot.threads.iter_mut().for_each(|thread| thread.name = None);
    }
    if has(MINIDUMP_STREAM_TYPE::CrashpadInfoStream) {
        snapshot.annotations.clear();
    }
    if has(MINIDUMP_STREAM_TYPE::HandleDataStream) {
        snapshot.handles.clear();
    }
    if let Some(facts) = &mut snapshot.apple {
        if has(MINIDUMP_STREAM_TYPE::MozMacosCrashInfoStream) {
            facts.crash_info.clear();
        }
        if has(MINIDUMP_STREAM_TYPE::MozMacosBootargsStream) {
            facts.boot_args = None;
        }
    }
    let Some(facts) = &mut snapshot.linux else { return };
    for (stream, text) in [
        (MINIDUMP_STREAM_TYPE::LinuxCmdLine, &mut facts.cmdline),
        (MINIDUMP_STREAM_TYPE::LinuxProcStatus, &mut facts.status),
        (MINIDUMP_STREAM_TYPE::LinuxLsbRelease, &mut facts.lsb_release),
        (MINIDUMP_STREAM_TYPE::MozLinuxLimits, &mut facts.limits),
        (MINIDUMP_STREAM_TYPE::LinuxCpuInfo, &mut facts.cpu_info),
        (MINIDUMP_STREAM_TYPE::LinuxMaps, &mut facts.maps),
        (MINIDUMP_STREAM_TYPE::LinuxAuxv, &mut facts.auxv),
        (MINIDUMP_STREAM_TYPE::LinuxEnviron, &mut facts.environ),
    ] {
        if has(stream) {
            *text = None;
        }
    }
    if has(MINIDUMP_STREAM_TYPE::LinuxDsoDebug) {
        facts.dso_debug = None;
    }
}

/// Where the secrets of the environment lie in the target's memory.
#[derive(Default)]
struct Secrets {
    /// As bytes.
    narrow: Vec<Range<u64>>,
    /// In UTF-16.
    wide: Vec<Range<u64>>,
    /// The same in the second environment of a 32-bit program.
    native: Vec<Range<u64>>,
}

/// Blanks secrets in the text of the environment. Returns where the same text lies in the target's memory.
fn hide_environ(snapshot: &mut Snapshot) -> Secrets {
    let mut secrets = Secrets::default();
    if let Some(facts) = &mut snapshot.linux
        && let Some(environ) = &facts.environ
    {
        let redacted = redact_environ(environ);
        secrets.narrow = facts.environ_address.map(|start| redacted.addresses(start)).unwrap_or_default();
        facts.environ = Some(redacted.text);
    }
    if let Some(facts) = &mut snapshot.windows {
        secrets.wide = hide_block(facts.environment.as_mut());
        secrets.native = hide_block(facts.native_environment.as_mut());
    }
    secrets
}

fn hide_block(environ: Option<&mut EnvironmentBlock>) -> Vec<Range<u64>> {
    let Some(environ) = environ else { return Vec::new() };
    let redacted = redact_wide_environ(environ);
    environ.text = redacted.text;
    redacted.addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{
        BufferSource, Cpu, LinuxFacts, OperatingSystem, PlannedRange, Process, Purpose, System, ThreadStack,
        WindowsFacts,
    };

    const ENVIRON: &[u8] = b"HOME=/x\0DB_PASSWORD=hunter2\0LANG=C\0";
    const ADDRESS: u64 = 0x7000;

    fn snapshot() -> Snapshot {
        let cpu = Cpu::Amd64 {
            vendor: *b"GenuineIntel",
            version_information: 0,
            feature_information: 0,
            extended_features: 0,
            xsave: Vec::new(),
        };
        let system = System {
            os: OperatingSystem::Linux,
            version: (6, 1, 0),
            description: "Linux".into(),
            cpu,
            cpu_count: 1,
            cpu_max_mhz: None,
            page_size: 4096,
            build: "test".into(),
        };
        let mut snapshot = Snapshot::new(Process::default(), system);
        let environ = Some(ENVIRON.to_vec());
        let cmdline = Some(b"app\0--pin=1234\0".to_vec());
        snapshot.linux =
            Some(LinuxFacts { environ, cmdline, environ_address: Some(ADDRESS), ..LinuxFacts::default() });
        snapshot
    }

    /// The file of a process that has its environment at the far end of a stack of 64 words.
    fn file(format: Format, options: &DumpOptions) -> Vec<u8> {
        const WORD: [u8; 8] = *b"sesame!!";
        let start = ADDRESS - 512;
        let mut memory = BufferSource::new();
        assert!(memory.insert(start, [WORD.repeat(64), ENVIRON.to_vec()].concat()));
        let size = 512 + ENVIRON.len() as u64;
        let range = PlannedRange { start, size, purpose: Purpose::BlamedStack };
        let stack = ThreadStack { thread: 1, start, size };
        let plan = MemoryPlan::from_ranges(vec![range], vec![stack]);
        let mut file = Vec::new();
        let captured =
            Captured { snapshot: &mut snapshot(), plan: &plan, memory: &memory, is_complete: true };
        let written = encode(captured, format, options, &[], &mut file).unwrap();
        assert_eq!(written.bytes, file.len() as u64);
        file
    }

    fn count(file: &[u8], text: &[u8]) -> usize {
        file.windows(text.len()).filter(|window| *window == text).count()
    }

    #[test]
    fn secrets_of_the_environment_are_neither_in_its_text_nor_in_memory() {
        for (format, texts) in [(Format::Minidump, 1), (Format::ElfCore, 0)] {
            let hidden = file(format, &DumpOptions::default());
            assert_eq!(count(&hidden, b"hunter2"), 0, "{format:?}");
            assert_eq!(count(&hidden, b"DB_PASSWORD=*******\0LANG=C\0"), texts + 1, "{format:?}");
            let options = DumpOptions { keep_environ: true, ..DumpOptions::default() };
            assert_eq!(count(&file(format, &options), b"DB_PASSWORD=hunter2\0"), texts + 1, "{format:?}");
        }
    }

    #[test]
    fn a_sanitised_file_holds_no_other_words_of_the_stack() {
        for format in [Format::Minidump, Format::ElfCore] {
            let mut options = DumpOptions::default();
            assert_eq!(count(&file(format, &options), b"sesame!!"), 64, "{format:?}");
            options.sanitize = true;
            assert_eq!(count(&file(format, &options), b"sesame!!"), 0, "{format:?}");
        }
    }

    #[test]
    fn a_command_line_that_is_left_out_is_in_no_note_of_a_core() {
        let mut options = DumpOptions::default();
        assert!(count(&file(Format::ElfCore, &options), b"--pin=1234") > 0);
        options.omit = vec![MINIDUMP_STREAM_TYPE::LinuxCmdLine.into()];
        for format in [Format::Minidump, Format::ElfCore] {
            assert_eq!(count(&file(format, &options), b"--pin=1234"), 0, "{format:?}");
        }
    }

    #[test]
    fn a_stream_that_is_left_out_is_not_there() {
        const ENVIRON_STREAM: u32 = 0x4767_0007;
        let omit = vec![ENVIRON_STREAM];
        let options = DumpOptions { keep_environ: true, omit, ..DumpOptions::default() };
        assert_eq!(count(&file(Format::Minidump, &options), b"hunter2"), 1, "only the one in memory");
    }

    const WIDE_ENVIRON: &str = "Path=C:\\x\0DB_PASSWORD=hunter2\0LANG=C\0\0";

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// The process of Windows that has one environment at [`ADDRESS`] and another one at an odd address behind it.
    fn windows_file(format: Format, options: &DumpOptions) -> (Snapshot, Result<Vec<u8>, FormatError>) {
        let size = wide(WIDE_ENVIRON).len() as u64;
        let native = ADDRESS + size + 1;
        let mut memory = BufferSource::new();
        assert!(memory.insert(ADDRESS, [wide(WIDE_ENVIRON), vec![0], wide(WIDE_ENVIRON)].concat()));
        let range = PlannedRange { start: ADDRESS, size: 2 * size + 1, purpose: Purpose::Loader };
        let plan = MemoryPlan::from_ranges(vec![range], vec![]);
        let mut snapshot = snapshot();
        snapshot.system.os = OperatingSystem::Windows;
        snapshot.linux = None;
        let block = |address| Some(EnvironmentBlock { address, text: WIDE_ENVIRON.encode_utf16().collect() });
        let (environment, native_environment) = (block(ADDRESS), block(native));
        snapshot.windows = Some(WindowsFacts { environment, native_environment, ..WindowsFacts::default() });
        let mut file = Vec::new();
        let captured = Captured { snapshot: &mut snapshot, plan: &plan, memory: &memory, is_complete: true };
        let written = encode(captured, format, options, &[], &mut file);
        (snapshot, written.map(|_| file))
    }

    #[test]
    fn secrets_of_a_windows_environment_are_neither_in_memory_nor_in_the_facts() {
        let (snapshot, file) = windows_file(Format::Minidump, &DumpOptions::default());
        let file = file.unwrap();
        assert_eq!((count(&file, &wide("hunter2")), count(&file, &wide("=*******\0LANG=C\0"))), (0, 2));
        let text = snapshot.windows.unwrap().environment.unwrap().text;
        assert_eq!(String::from_utf16(&text).unwrap(), WIDE_ENVIRON.replace("hunter2", "*******"));
        let options = DumpOptions { keep_environ: true, ..DumpOptions::default() };
        let (_, file) = windows_file(Format::Minidump, &options);
        assert_eq!(count(&file.unwrap(), &wide("hunter2")), 2);
    }

    #[test]
    fn a_process_of_windows_becomes_no_core() {
        for (format, core) in [(Format::ElfCore, "an ELF"), (Format::MachOCore, "a Mach-O")] {
            let (_, file) = windows_file(format, &DumpOptions::default());
            let expected = format!("a process of Windows cannot become {core} core; choose a minidump");
            assert_eq!(file.unwrap_err().to_string(), expected);
        }
    }
}
