//! The streams of a minidump by the names that docs/minidump-format.md gives them.

/// A stream that `dump --omit` knows.
struct Known {
    /// Type number in the file's directory.
    number: u32,
    /// Name as the documentation has it.
    name: &'static str,
    /// Further names, normalised (see [`normalised`]).
    short: &'static [&'static str],
    /// Readers cannot do without it.
    essential: bool,
}

const fn optional(number: u32, name: &'static str, short: &'static [&'static str]) -> Known {
    Known { number, name, short, essential: false }
}

const fn essential(number: u32, name: &'static str) -> Known {
    Known { number, name, short: &[], essential: true }
}

const KNOWN: &[Known] = &[
    essential(3, "ThreadList"),
    essential(4, "ModuleList"),
    essential(5, "MemoryList"),
    essential(6, "Exception"),
    essential(7, "SystemInfo"),
    essential(9, "Memory64List"),
    optional(12, "HandleData", &["handle", "handles"]),
    optional(14, "UnloadedModuleList", &["unloadedmodules", "unloaded"]),
    optional(15, "MiscInfo", &["misc"]),
    optional(16, "MemoryInfoList", &[]),
    optional(17, "ThreadInfoList", &[]),
    optional(24, "ThreadNames", &[]),
    optional(0x4350_0001, "CrashpadInfo", &["crashpad", "annotations"]),
    optional(0x4767_0001, "BreakpadInfo", &[]),
    optional(0x4767_0003, "LinuxCpuInfo", &[]),
    optional(0x4767_0004, "LinuxProcStatus", &["status"]),
    optional(0x4767_0005, "LinuxLsbRelease", &["release"]),
    optional(0x4767_0006, "LinuxCmdLine", &[]),
    optional(0x4767_0007, "LinuxEnviron", &["environment"]),
    optional(0x4767_0008, "LinuxAuxv", &[]),
    optional(0x4767_0009, "LinuxMaps", &[]),
    optional(0x4767_000a, "LinuxDsoDebug", &[]),
    optional(0x4d7a_0001, "MozMacosCrashInfo", &["crashinfo"]),
    optional(0x4d7a_0002, "MozMacosBootargs", &["bootargs"]),
    optional(0x4d7a_0003, "MozLinuxLimits", &["limits"]),
    essential(0x4d7a_0004, "MozSoftErrors"),
    essential(0x4d44_0001, "HoleLocator"),
    optional(0x4d44_0002, "ThreadExtras", &["threadextra"]),
    optional(0x4d44_0003, "XsaveAreas", &["xsave"]),
    optional(0x4d44_0004, "AppleFacts", &[]),
    optional(0x4d44_0005, "NativeContexts", &[]),
];

/// The type number of the stream that `text` names: a name of the documentation in any case, with or without `Linux`
/// or `Moz` before and `List` or `Stream` behind it, one of the short names, or a number.
pub fn parse(text: &str) -> Result<u32, String> {
    let number = parse_number(text);
    let wanted = normalised(text);
    let names = |known: &&Known| match number {
        Some(number) => known.number == number,
        None => normalised(known.name) == wanted || known.short.contains(&wanted.as_str()),
    };
    match KNOWN.iter().find(names) {
        Some(known) if known.essential => {
            Err(format!("no dump is readable without {}; leave it in", known.name))
        }
        Some(known) => Ok(known.number),
        None => Err(format!("there is no such stream; those that can be left out are {}", list())),
    }
}

/// The names of all streams that can be left out, short where the documentation's name without its affixes is enough.
fn list() -> String {
    let known = KNOWN.iter().filter(|known| !known.essential);
    known.map(|known| dashed(bare(known.name))).collect::<Vec<_>>().join(", ")
}

fn parse_number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A name without what the format's authors put around it.
fn bare(name: &str) -> &str {
    let name = name.strip_prefix("Moz").unwrap_or(name);
    let name = name.strip_prefix("Linux").unwrap_or(name);
    name.strip_suffix("List").unwrap_or(name)
}

/// `ThreadNames` as `thread-names`.
fn dashed(name: &str) -> String {
    let mut dashed = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !dashed.is_empty() {
            dashed.push('-');
        }
        dashed.push(character.to_ascii_lowercase());
    }
    dashed
}

fn normalised(text: &str) -> String {
    let plain: String = text.chars().filter(|character| !matches!(character, '-' | '_')).collect();
    let plain = plain.to_ascii_lowercase();
    let mut name = plain.as_str();
    for prefix in ["md", "moz", "linux"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    for suffix in ["stream", "list"] {
        name = name.strip_suffix(suffix).unwrap_or(name);
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_known_by_every_form_of_their_name() {
        for (names, number) in [
            (&["environ", "LinuxEnviron", "linux-environ", "LINUXENVIRON", "0x47670007"][..], 0x4767_0007),
            (&["cmdline", "CmdLine", "LinuxCmdLine", "cmd-line"], 0x4767_0006),
            (&["maps", "LinuxMaps"], 0x4767_0009),
            (&["handles", "HandleData", "handle-data", "HandleDataStream", "12", "0xC"], 12),
            (&["cpuinfo", "cpu-info", "LinuxCpuInfo"], 0x4767_0003),
            (&["status", "LinuxProcStatus", "procstatus"], 0x4767_0004),
            (&["limits", "MozLinuxLimits", "linuxlimits"], 0x4d7a_0003),
            (&["auxv"], 0x4767_0008),
            (&["release", "lsb-release", "LinuxLsbRelease"], 0x4767_0005),
            (&["memory-info", "MemoryInfoList", "memoryinfo"], 16),
            (&["thread-info", "ThreadInfoList"], 17),
            (&["thread-names", "ThreadNames"], 24),
            (&["unloaded-modules", "UnloadedModuleList", "unloaded"], 14),
            (&["misc", "MiscInfo", "misc-info"], 15),
            (&["dso-debug", "LinuxDsoDebug"], 0x4767_000a),
            (&["annotations", "CrashpadInfo"], 0x4350_0001),
            (&["thread-extras"], 0x4d44_0002),
            (&["xsave-areas", "xsave"], 0x4d44_0003),
        ] {
            for name in names {
                assert_eq!(parse(name), Ok(number), "{name}");
            }
        }
    }

    #[test]
    fn every_listed_name_is_understood() {
        for name in list().split(", ") {
            assert!(parse(name).is_ok(), "{name}");
        }
        assert!(list().contains("environ, ") && list().contains("thread-names"), "{}", list());
    }

    #[test]
    fn what_readers_need_stays() {
        for name in ["ThreadList", "thread", "3", "0x7", "SystemInfo", "exception", "MemoryList"] {
            assert!(parse(name).unwrap_err().contains("readable without"), "{name}");
        }
        assert!(parse("0x4d7a0004").unwrap_err().contains("MozSoftErrors"));
    }

    #[test]
    fn an_unknown_stream_is_answered_with_those_there_are() {
        for name in ["", "list", "linux", "stacks", "0x99", "999", "-1", "0x"] {
            let told = parse(name).unwrap_err();
            assert!(told.contains("no such stream") && told.contains("cmd-line"), "{name}: {told}");
        }
    }
}
