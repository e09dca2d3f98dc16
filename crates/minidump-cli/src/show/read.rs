//! From the streams of a minidump to the model.

use super::crash::{add_access, crash};
use super::model::{Address, AppleThread, Dump, Memory, Module, Process, System};
use super::raw_dump::{self, RawDump};
use super::unwind::{self, Walk};
use super::{ShowError, annotations, apple, guard, holes, symbols, windows};
use crate::text;
use minidump::system_info::Os;
use minidump::{
    CodeView, MinidumpBreakpadInfo, MinidumpException, MinidumpLinuxLsbRelease, MinidumpMemoryInfoList,
    MinidumpMiscInfo, MinidumpModule, MinidumpModuleList, MinidumpSoftErrors, MinidumpStream,
    MinidumpSystemInfo, MinidumpThreadList, MinidumpThreadNames, Module as _, UnifiedMemoryInfoList,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// `MiniDumpWithFullMemory` and `MiniDumpFilterMemory`, flags of the header (minidumpapiset.h).
const FULL_MEMORY: u64 = 0x2;
const FILTERED_MEMORY: u64 = 0x8;
/// Stream of the process's arguments, each ended by NUL (Breakpad, `minidump_format.h`).
const LINUX_CMD_LINE: u32 = 0x4767_0006;
/// Longest command line that is shown, in arguments.
const MOST_ARGUMENTS: usize = 4096;

/// Reads the dump in `file`, which is known as `path`.
pub fn read(path: &Path, file: &File, bytes: u64) -> Result<Dump, ShowError> {
    let damaged = |reason: String| ShowError::Damaged { path: path.to_path_buf(), reason };
    let raw = raw_dump::open(file).map_err(|error| match error {
        minidump::Error::HeaderMismatch | minidump::Error::MissingHeader => {
            ShowError::NotADump { path: path.to_path_buf() }
        }
        error => damaged(lowercase(&error.to_string())),
    })?;
    if !guard::is_sane(&raw, file, bytes) {
        return Err(damaged("its names are longer than any program's".into()));
    }
    let system =
        raw.get_stream().map_err(|error| damaged(complaint::<MinidumpSystemInfo>("system", &error)))?;
    let threads =
        raw.get_stream().map_err(|error| damaged(complaint::<MinidumpThreadList>("thread", &error)))?;
    let mut dump = Dump {
        file: path.to_string_lossy().into_owned(),
        bytes,
        is_full: raw.header.flags & FULL_MEMORY != 0,
        is_sanitised: raw.header.flags & FILTERED_MEMORY != 0,
        taken_at: u64::from(raw.header.time_date_stamp),
        system: system_of(&system, raw.get_stream().ok()),
        ..Dump::default()
    };
    dump.soft_errors = soft_errors(&raw, &mut dump.warnings);
    dump.annotations = annotations::read(&raw, file, &mut dump.warnings);
    let found = apple::read(&raw, file, &system, &threads, &mut dump.warnings);
    let (misc, exception) = (raw.get_stream().ok(), raw.get_stream().ok());
    dump.windows = windows::read(&raw, file, &system, misc.as_ref(), exception.as_ref());
    fill(&mut dump, &raw, &system, &threads, &found.threads);
    dump.apple = found.process;
    windows::complete(&mut dump, &raw, file, &system);
    dump.memory.missing = holes::missing_bytes(&raw, file);
    Ok(dump)
}

/// Adds what the streams tell that a dump may lack, and walks the stacks.
fn fill(
    dump: &mut Dump,
    raw: &RawDump,
    system: &MinidumpSystemInfo,
    threads: &MinidumpThreadList,
    apple: &HashMap<u32, AppleThread>,
) {
    let warnings = &mut dump.warnings;
    let modules: MinidumpModuleList = stream(raw, "module", warnings).unwrap_or_default();
    let names: MinidumpThreadNames = stream(raw, "thread name", warnings).unwrap_or_default();
    let misc: Option<MinidumpMiscInfo> = stream(raw, "process", warnings);
    let exception: Option<MinidumpException> = stream(raw, "exception", warnings);
    let regions: Option<MinidumpMemoryInfoList> = stream(raw, "memory region", warnings);
    let regions = UnifiedMemoryInfoList::new(regions, raw.get_stream().ok());
    let requesting = raw.get_stream::<MinidumpBreakpadInfo>().ok().and_then(|info| info.requesting_thread_id);
    let memory = raw.get_memory().unwrap_or_default();

    dump.crash = crash(exception.as_ref(), requesting, system);
    dump.memory = Memory {
        ranges: memory.iter().count() as u64,
        bytes: memory.iter().fold(0, |sum, range| sum.saturating_add(range.size())),
        regions: regions.as_ref().map(|list| list.iter().count() as u64),
        missing: None,
    };
    dump.process = process(raw, misc.as_ref(), &modules, dump.taken_at);
    let walk = Walk {
        system,
        misc: misc.as_ref(),
        exception: exception.as_ref(),
        threads,
        names: &names,
        modules: &modules,
        memory: &memory,
        regions: regions.as_ref(),
        blamed: dump.crash.thread,
        pid: dump.process.pid,
        apple,
        windows: &windows::threads(raw, system, threads, &memory),
    };
    add_access(&mut dump.crash, system, apple);
    let (walked, found) = unwind::walk(&walk, warnings);
    dump.threads = walked;
    dump.modules = modules.by_addr().map(|found| module(found, system)).collect();
    for module in &mut dump.modules {
        module.symbols = found.get(&module.base.0).copied().unwrap_or_default();
    }
}

/// A stream that a dump may lack. One that is there but cannot be read is worth a warning.
fn stream<'a, S: MinidumpStream<'a>>(dump: &'a RawDump, name: &str, warnings: &mut Vec<String>) -> Option<S> {
    match dump.get_stream::<S>() {
        Ok(stream) => Some(stream),
        Err(minidump::Error::StreamNotFound) => None,
        Err(error) => {
            warnings.push(complaint::<S>(name, &error));
            None
        }
    }
}

fn complaint<'a, S: MinidumpStream<'a>>(name: &str, error: &minidump::Error) -> String {
    match error {
        minidump::Error::StreamNotFound => format!("it has no {name} stream ({:#x})", S::STREAM_TYPE),
        error => {
            format!(
                "its {name} stream ({:#x}) is unreadable ({})",
                S::STREAM_TYPE,
                lowercase(&error.to_string())
            )
        }
    }
}

fn lowercase(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().collect::<String>() + characters.as_str())
        .unwrap_or_default()
}

fn system_of(system: &MinidumpSystemInfo, release: Option<MinidumpLinuxLsbRelease>) -> System {
    let (version, build) = system.os_parts();
    let distribution = release.and_then(|release| {
        let named = |key: &[u8]| {
            let found = release.iter().find(|(name, _)| name.as_bytes() == key)?;
            Some(found.1.to_string_lossy().into_owned())
        };
        named(b"PRETTY_NAME").or_else(|| named(b"DISTRIB_DESCRIPTION"))
    });
    System {
        os: os_name(system).into_owned(),
        os_version: os_version(&os_name(system), &version, build.as_deref().unwrap_or_default()),
        distribution,
        cpu: system.cpu.to_string(),
        cpu_info: system.cpu_info().map(|info| info.trim().to_string()).filter(|info| !info.is_empty()),
        processors: system.raw.number_of_processors,
    }
}

fn os_name(system: &MinidumpSystemInfo) -> Cow<'static, str> {
    match system.os {
        Os::MacOs => "macOS".into(),
        other => Cow::Owned(other.long_name().into_owned()),
    }
}

/// The version and the build of an operating system, without saying twice what the build tells too. On Linux it is
/// what `uname -srvm` prints.
fn os_version(os: &str, version: &str, build: &str) -> String {
    let build = build.strip_prefix(os).unwrap_or(build).trim();
    if build.starts_with(version) { build.into() } else { format!("{version} {build}").trim().into() }
}

fn process(
    dump: &RawDump,
    misc: Option<&MinidumpMiscInfo>,
    modules: &MinidumpModuleList,
    taken_at: u64,
) -> Process {
    let started_at = misc
        .and_then(MinidumpMiscInfo::process_create_time)
        .and_then(|at: SystemTime| Some(at.duration_since(UNIX_EPOCH).ok()?.as_secs()));
    let seconds = |time: Option<&u32>| time.copied().map(u64::from);
    Process {
        pid: misc.and_then(|misc| misc.raw.process_id().copied()).or_else(|| pid_of_status(dump)),
        name: modules.main_module().map(|module| file_name(&module.name).to_string()),
        command_line: command_line(dump),
        started_at,
        uptime: started_at.and_then(|at| taken_at.checked_sub(at)),
        user_time: seconds(misc.and_then(|misc| misc.raw.process_user_time())),
        kernel_time: seconds(misc.and_then(|misc| misc.raw.process_kernel_time())),
    }
}

fn pid_of_status(dump: &RawDump) -> Option<u32> {
    let status: minidump::MinidumpLinuxProcStatus = dump.get_stream().ok()?;
    let (_, value) = status.iter().find(|(key, _)| key.as_bytes() == b"Pid")?;
    value.to_string_lossy().trim().parse().ok()
}

fn command_line(dump: &RawDump) -> Option<Vec<String>> {
    let bytes = dump.get_raw_stream(LINUX_CMD_LINE).ok()?;
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let arguments = bytes.split(|byte| *byte == 0).take(MOST_ARGUMENTS);
    (!bytes.is_empty()).then(|| arguments.map(|part| String::from_utf8_lossy(part).into_owned()).collect())
}

fn soft_errors(dump: &RawDump, warnings: &mut Vec<String>) -> Vec<serde_json::Value> {
    let Some(stream) = stream::<MinidumpSoftErrors>(dump, "soft error", warnings) else { return Vec::new() };
    let text = stream.as_ref().trim_end_matches('\0');
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Array(errors)) => errors,
        Ok(other) => vec![other],
        Err(error) => {
            warnings.push(format!("its soft error stream is no JSON ({error})"));
            Vec::new()
        }
    }
}

fn module(module: &MinidumpModule, system: &MinidumpSystemInfo) -> Module {
    let is_apple = apple::is_apple(system);
    let is_windows = windows::is_windows(system);
    let (stamp, size) = (module.raw.time_date_stamp, module.raw.size_of_image);
    let code_id = (is_windows && stamp != 0).then(|| windows::code_id(stamp, size));
    let debug_file = match &module.codeview_info {
        Some(CodeView::Pdb70(_) | CodeView::Pdb20(_)) if is_windows => module.debug_file(),
        _ => None,
    };
    Module {
        base: Address(module.base_address()),
        size: module.size(),
        id: if is_apple { uuid(module) } else { id(module) },
        code_id,
        debug_file: debug_file.map(Cow::into_owned).filter(|name| !name.is_empty()),
        path: module.name.clone(),
        version: if is_apple { mach_version(module) } else { module.version().map(Cow::into_owned) },
        symbols: super::model::SymbolsFound::default(),
    }
}

/// The full build id of an ELF module, else what debuggers of the module's kind look it up by.
fn id(module: &MinidumpModule) -> Option<String> {
    if let Some(CodeView::Elf(record)) = &module.codeview_info {
        return (!record.build_id.is_empty()).then(|| text::hex(&record.build_id));
    }
    module.debug_identifier().map(|id| id.breakpad().to_string())
}

/// The UUID of a Mach-O module as Apple's tools write it.
fn uuid(module: &MinidumpModule) -> Option<String> {
    match &module.codeview_info {
        Some(CodeView::Pdb70(record)) => Some(apple::uuid_text(&symbols::uuid(&record.signature))),
        _ => id(module),
    }
}

/// The version of a Mach-O library. Of one that Breakpad packed, the upper half of the first field is empty; of one by
/// Crashpad each half is a part.
fn mach_version(module: &MinidumpModule) -> Option<String> {
    module.version()?;
    let (high, low) = (module.raw.version_info.file_version_hi, module.raw.version_info.file_version_lo);
    let (first, second) = (high >> 16, high & 0xffff);
    let (third, fourth) = (low >> 16, low & 0xffff);
    Some(match (first, fourth) {
        (0, _) => format!("{second}.{third}.{fourth}"),
        (_, 0) => format!("{first}.{second}.{third}"),
        _ => format!("{first}.{second}.{third}.{fourth}"),
    })
}

/// The last part of a path of either kind of system.
pub fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_system_is_told_once() {
        let build = "Linux 6.1.0-18-amd64 #1 SMP x86_64";
        assert_eq!(os_version("Linux", "6.1.0", build), "6.1.0-18-amd64 #1 SMP x86_64");
        assert_eq!(os_version("Windows NT", "10.0.19045", ""), "10.0.19045");
        assert_eq!(os_version("Linux", "6.1.0", "#1 SMP"), "6.1.0 #1 SMP");
    }

    #[test]
    fn file_names_are_found_in_paths_of_both_kinds() {
        for (path, name) in [
            ("/usr/lib/a.so", "a.so"),
            ("C:\\b\\c.dll", "c.dll"),
            ("d", "d"),
            ("/e/", "e"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(file_name(path), name);
        }
    }
}
