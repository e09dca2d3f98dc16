//! The command line.

mod check;
mod core_handler;
#[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
mod handler;
mod plain_dump;
#[cfg(any(windows, all(target_os = "linux", target_arch = "x86_64")))]
mod run;
mod values;

use crate::destination::is_dash;
use crate::stream_names;
use clap::{Args, FromArgMatches as _, Parser, Subcommand, ValueEnum};
pub use core_handler::CoreHandlerArguments;
#[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
pub use handler::HandlerArguments;
use minidump_writer::snapshot::MemoryMode;
use minidump_writer::{Format, Pid};
#[cfg(any(windows, all(target_os = "linux", target_arch = "x86_64")))]
pub use run::RunArguments;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use values::{parse_address, parse_annotation, parse_pid, parse_range, parse_size, parse_tid, parse_time};

/// Dumps a live process, shows dumps, and converts between minidumps and cores of Linux and macOS.
#[derive(Debug, Parser)]
#[command(name = "minidump-writer", version, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `dump` does.
const DUMP: &str = "Stop a process for an instant, write a dump of it, and let it run on";

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(about = DUMP)]
    Dump(Box<DumpArguments>),
    /// Run a command, and keep a dump of each of its processes that crashes; exit as it does
    #[cfg(any(windows, all(target_os = "linux", target_arch = "x86_64")))]
    Run(Box<RunArguments>),
    /// Dump the programs that ask for it when they crash: the other side of the client library
    #[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
    Handler(Box<HandlerArguments>),
    /// Show what a dump holds: why it was taken, threads with their stacks, modules
    Show(ShowArguments),
    /// Turn a core into a minidump, or a minidump into a core
    Convert(ConvertArguments),
    /// Dump every crash on this machine: what the kernel starts for each, and what sets that up
    CoreHandler(CoreHandlerArguments),
}

/// Arguments of `dump`.
#[derive(Debug, Args)]
pub struct DumpArguments {
    /// Id of the process
    #[arg(value_parser = parse_pid, allow_negative_numbers = true)]
    pub pid: Pid,
    /// The thread to put first and to keep most stack of [default: the main thread]
    #[arg(long, value_parser = parse_tid, allow_negative_numbers = true)]
    pub tid: Option<u32>,
    /// Longest that the process may stand still, such as 500ms, 5s or 2 [default: 5s; 120s with --memory full]
    #[arg(long, value_name = "TIME", value_parser = parse_time, allow_negative_numbers = true)]
    pub deadline: Option<Duration>,
    /// Where the dump goes and how.
    #[command(flatten)]
    pub output: OutputArguments,
    /// Which memory it holds.
    #[command(flatten)]
    pub memory: MemoryArguments,
    /// What it tells besides.
    #[command(flatten)]
    pub contents: ContentArguments,
}

/// Where a dump goes and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArguments {
    /// Where the dump goes; `-` is the standard output [default: NAME-PID.dmp, .core or .dmp.zst here]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Format of the dump
    #[arg(long, value_enum, default_value_t, hide_possible_values = true, value_name = "minidump|core")]
    pub format: FormatName,
    /// Compress with zstd when the process runs again; full memory waits for that in a temporary file
    #[arg(long)]
    pub compress: bool,
    /// Show the dump when it is written
    #[arg(long)]
    pub show: bool,
    /// Print one JSON object on the standard output
    #[arg(long)]
    pub json: bool,
}

/// Which memory a dump holds.
#[derive(Debug, Args)]
#[command(next_help_heading = "Memory")]
pub struct MemoryArguments {
    /// Memory to keep: stacks; also what registers and stacks point at; all that is readable
    #[arg(
        long = "memory",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "stacks|indirect|full"
    )]
    pub mode: MemoryName,
    /// With --memory full: let the process run on at once, and write from a copy-on-write copy of it
    #[arg(long)]
    pub cow: bool,
    /// Most memory to keep, such as 64K, 2M or 1.5G; every thread keeps the innermost part of its stack
    #[arg(long, value_name = "SIZE", value_parser = parse_size, allow_negative_numbers = true)]
    pub size_limit: Option<u64>,
    /// Keep this memory too, such as 0x7f0012345678:4K; may be repeated
    #[arg(long, value_name = "ADDR:SIZE", value_parser = parse_range)]
    pub app_memory: Vec<(u64, u64)>,
    /// Keep only the stacks that refer to the module or mapping at this address, and the blamed one
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub stacks_referring_to: Option<u64>,
}

/// What a dump tells besides memory.
#[derive(Debug, Args)]
#[command(next_help_heading = "Privacy and contents")]
pub struct ContentArguments {
    /// Overwrite all of the stacks but pointers to stacks, code and modules, and small integers
    #[arg(long)]
    pub sanitize: bool,
    /// Leave out these streams, of a core the same facts, such as cmdline,maps (names: docs/minidump-format.md)
    #[arg(long, value_name = "STREAM,...", value_delimiter = ',', value_parser = stream_names::parse)]
    pub omit: Vec<u32>,
    /// Keep the values of environment variables whose names look secret; they are blanked otherwise
    #[arg(long)]
    pub keep_environ: bool,
    /// Store a key and a value for readers to show; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_annotation)]
    pub annotate: Vec<(String, String)>,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The dump: a minidump, an ELF core or a Mach-O core, which may be compressed with zstd
    pub file: PathBuf,
    /// Print one JSON object, see docs/show-json.md
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `convert`.
#[derive(Debug, Args)]
pub struct ConvertArguments {
    /// The dump: an ELF core, a Mach-O core or a minidump, which may be compressed with zstd; `-` is the standard input
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// Where the new dump goes; `-` is the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Format of the new dump; of cores, macho-core for macOS and core for Linux [default: the one that IN is not]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "minidump|core|macho-core")]
    pub format: Option<FormatName>,
    /// Memory of a core to keep: stacks; also what registers and stacks point at; all [default: stacks]
    #[arg(long = "memory", value_enum, hide_possible_values = true, value_name = "stacks|indirect|full")]
    pub mode: Option<MemoryName>,
    /// Compress with zstd
    #[arg(long)]
    pub compress: bool,
    /// Print one JSON object on the standard output
    #[arg(long)]
    pub json: bool,
    /// What it tells besides.
    #[command(flatten)]
    pub contents: ContentArguments,
}

/// Formats of dumps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// Microsoft's minidump.
    #[default]
    Minidump,
    /// An ELF core.
    Core,
    /// A Mach-O core.
    MachoCore,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Minidump => Self::Minidump,
            FormatName::Core => Self::ElfCore,
            FormatName::MachoCore => Self::MachOCore,
        }
    }
}

/// Kinds of memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MemoryName {
    /// Stacks.
    #[default]
    Stacks,
    /// Those, and what they point at.
    Indirect,
    /// All.
    Full,
}

impl From<MemoryName> for MemoryMode {
    fn from(name: MemoryName) -> Self {
        match name {
            MemoryName::Stacks => Self::Stacks,
            MemoryName::Indirect => Self::Indirect,
            MemoryName::Full => Self::Full,
        }
    }
}

impl Arguments {
    /// Parses the arguments that this program was started with.
    pub fn of_this_program() -> Result<Self, clap::Error> {
        Self::of(std::env::args_os().collect())
    }

    /// Parses `words`, the first of which is the name of the program. For `dump`, which is to be fast, the definitions of
    /// the other commands are not made.
    fn of(mut words: Vec<OsString>) -> Result<Self, clap::Error> {
        if words.get(1).is_none_or(|word| word != "dump") {
            return Self::try_parse_from(words);
        }
        if let Some(arguments) = words.get(2..).and_then(plain_dump::read) {
            return Ok(Self { command: Command::Dump(Box::new(arguments)) });
        }
        words.remove(0);
        let mut definition = dump_alone();
        let parsed = definition.try_get_matches_from_mut(words);
        let arguments = parsed.and_then(|matches| DumpArguments::from_arg_matches(&matches));
        let arguments = arguments.map_err(|error| error.format(&mut definition))?;
        Ok(Self { command: Command::Dump(Box::new(arguments)) })
    }
}

/// The definition of `dump` as that of the whole program has it.
fn dump_alone() -> clap::Command {
    let definition = clap::Command::new("dump").bin_name("minidump-writer dump");
    let definition = definition.display_name("minidump-writer-dump").version(env!("CARGO_PKG_VERSION"));
    DumpArguments::augment_args(definition).about(DUMP)
}

impl DumpArguments {
    /// Whether the dump itself goes to the standard output.
    pub fn to_stdout(&self) -> bool {
        self.output.output.as_deref().is_some_and(is_dash)
    }

    /// Whether the process stands still until all of the dump has been written.
    pub fn holds_the_process(&self) -> bool {
        self.memory.mode == MemoryName::Full && !self.memory.cow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn dump(arguments: &[&str]) -> Result<DumpArguments, clap::Error> {
        let all = ["minidump-writer", "dump"].iter().chain(arguments);
        match Arguments::try_parse_from(all).and_then(Arguments::checked)?.command {
            Command::Dump(dump) => Ok(*dump),
            other => panic!("dump was asked for, not {other:?}"),
        }
    }

    #[test]
    fn dump_is_parsed_alone_as_it_is_among_all_commands() {
        for line in [
            "dump",
            "dump --help",
            "dump -h",
            "dump --version",
            "dump -V",
            "dump x",
            "dump 1 2",
            "dump 1 --no-such-option",
            "dump 1 --format elf",
            "dump 1 --memory",
            "dump 1 --omit nothing",
            "dump 1 --json --json",
            "dump help",
            "dump 1 -o a --sanitize",
            "dump 1",
            "dump 1 -o a",
            "dump --json --output a/b 12",
            "dump 1 -o a --json",
            "dump -o 12 34",
            "dump 007",
            "dump 0",
            "dump -1",
            "dump +1",
            "dump 99999999999",
            "dump -o a",
            "dump 1 -o",
            "dump 1 -o -",
            "dump 1 -o --json",
            "dump 1 -o a -o b",
            "dump 1 -oa",
            "dump 1 --output=a",
            "dump 1 --outp a",
            "dump 1 -- 2",
            "dump -- 1",
            "dump 1 --json x",
            "show --help",
            "dum",
            "help dump",
            "--version",
            "",
        ] {
            let words: Vec<OsString> =
                ["minidump-writer"].into_iter().chain(line.split_whitespace()).map(OsString::from).collect();
            let told = |parsed: Result<Arguments, clap::Error>| match parsed {
                Ok(arguments) => format!("{arguments:?}"),
                Err(error) => format!("{:?} {}", error.kind(), error.render()),
            };
            assert_eq!(told(Arguments::of(words.clone())), told(Arguments::try_parse_from(words)), "{line}");
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn all_options_of_dump_arrive() {
        let line = "42 -o x.dmp --tid 43 --deadline 500ms --show --json --memory indirect --size-limit 2M \
                    --app-memory 0x1000:4K --app-memory 0x9000:1 --stacks-referring-to 0x5000 --omit environ,Maps \
                    --omit 12 --keep-environ --annotate a=1 --annotate b= --compress --format minidump";
        let arguments = dump(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        assert_eq!((arguments.pid, arguments.tid), (42, Some(43)));
        assert_eq!(arguments.deadline, Some(Duration::from_millis(500)));
        let DumpArguments { output, memory, contents, .. } = arguments;
        assert_eq!(output.output.unwrap().to_str(), Some("x.dmp"));
        assert!(output.show && output.json && output.compress);
        assert_eq!(output.format, FormatName::Minidump);
        assert_eq!((memory.mode, memory.cow), (MemoryName::Indirect, false));
        assert_eq!((memory.size_limit, memory.stacks_referring_to), (Some(2 << 20), Some(0x5000)));
        assert_eq!(memory.app_memory, [(0x1000, 4096), (0x9000, 1)]);
        assert_eq!(contents.omit, [0x4767_0007, 0x4767_0009, 12]);
        assert!(contents.keep_environ && !contents.sanitize);
        assert_eq!(contents.annotate, [("a".into(), "1".into()), ("b".into(), String::new())]);
    }

    #[test]
    fn all_options_of_convert_arrive() {
        let line =
            "minidump-writer convert - -o x.dmp --format core --memory full --compress --json --keep-environ";
        let parsed = Arguments::try_parse_from(line.split_whitespace()).and_then(Arguments::checked).unwrap();
        let Command::Convert(convert) = parsed.command else { panic!("convert was asked for") };
        assert_eq!((convert.input.to_str(), convert.output.to_str()), (Some("-"), Some("x.dmp")));
        assert_eq!((convert.format, convert.mode), (Some(FormatName::Core), Some(MemoryName::Full)));
        assert!(convert.compress && convert.json && convert.contents.keep_environ);
        for line in ["- -o - --json", "a", "a -o b --annotate =1", "a -o b --sanitize --memory full"] {
            let words = ["minidump-writer", "convert"].into_iter().chain(line.split(' '));
            assert!(Arguments::try_parse_from(words).and_then(Arguments::checked).is_err(), "{line}");
        }
    }

    #[test]
    fn the_defaults_are_a_small_minidump() {
        let arguments = dump(&["42"]).unwrap();
        assert_eq!(arguments.output.format, FormatName::Minidump);
        assert_eq!(arguments.memory.mode, MemoryName::Stacks);
        assert!(!arguments.holds_the_process() && !arguments.to_stdout());
    }

    #[test]
    fn only_full_memory_without_a_copy_holds_the_process() {
        assert!(dump(&["42", "--memory", "full"]).unwrap().holds_the_process());
        assert!(!dump(&["42", "--memory", "full", "--cow"]).unwrap().holds_the_process());
    }

    #[test]
    fn impossible_process_ids_are_told_apart() {
        for (text, part) in [
            ("0", "0 is no process"),
            ("-5", "is positive"),
            ("abc", "is a number"),
            ("", "is a number"),
            ("1.5", "is a number"),
            ("2147483648", "so large"),
            ("99999999999999999999", "so large"),
        ] {
            let message = dump(&[text]).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn what_cannot_be_combined_is_refused_with_the_way_out() {
        for (line, parts) in [
            ("1 -o - --json", ["--json and -o -", "-o FILE"]),
            ("1 -o - --show", ["--show and -o -", "-o FILE"]),
            ("1 --sanitize --memory indirect", ["--sanitize", "--memory stacks"]),
            ("1 --sanitize --memory full", ["--sanitize", "--memory stacks"]),
            ("1 --cow", ["--cow", "--memory full"]),
            ("1 --cow --memory indirect", ["--cow", "--memory full"]),
            ("1 --size-limit 1M --memory full", ["--size-limit", "--memory indirect"]),
            ("1 --stacks-referring-to 1 --memory full", ["--stacks-referring-to", "--memory full"]),
            ("1 --annotate a=1 --annotate a=2", ["\"a\"", "twice"]),
        ] {
            let message = dump(&line.split(' ').collect::<Vec<_>>()).unwrap_err().to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{line}: {message}");
        }
        assert!(dump(&["1", "-o", "-"]).unwrap().to_stdout());
        assert!(!dump(&["1", "-o", "./-", "--json"]).unwrap().to_stdout());
    }
}
