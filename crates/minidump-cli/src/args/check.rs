//! Combinations of options that make no sense.

use super::{Arguments, Command, ContentArguments, ConvertArguments, DumpArguments, FormatName, MemoryName};
use crate::destination::is_dash;
use clap::CommandFactory as _;
use clap::error::ErrorKind;

impl Arguments {
    /// Refuses combinations that contradict each other, with the way out.
    pub fn checked(self) -> Result<Self, clap::Error> {
        let complaint = match &self.command {
            Command::Dump(dump) => of_dump(dump),
            Command::Convert(convert) => of_convert(convert),
            #[cfg(any(windows, all(target_os = "linux", target_arch = "x86_64")))]
            Command::Run(run) => of_contents(&run.contents, run.mode),
            #[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
            Command::Handler(handler) => of_contents(&handler.contents, handler.mode),
            Command::Show(_) | Command::CoreHandler(_) => None,
        };
        match complaint {
            None => Ok(self),
            Some(message) => Err(Self::command().error(ErrorKind::ArgumentConflict, message)),
        }
    }
}

/// What contradicts what, and the way out.
type Contradiction = (bool, &'static str);

fn of_dump(dump: &DumpArguments) -> Option<String> {
    let (output, memory, contents) = (&dump.output, &dump.memory, &dump.contents);
    let is_full = memory.mode == MemoryName::Full;
    let own = [
        (
            dump.to_stdout() && output.json,
            "--json and -o - both want the standard output; write the dump to a file with -o FILE",
        ),
        (
            dump.to_stdout() && output.show,
            "--show and -o - both want the standard output; write the dump to a file with -o FILE",
        ),
        (
            memory.cow && !is_full,
            "--cow is of use only with --memory full; any other dump is copied before the process runs on anyway",
        ),
        (
            memory.size_limit.is_some() && is_full,
            "--size-limit and --memory full contradict each other; use --memory indirect with a limit",
        ),
        (
            memory.stacks_referring_to.is_some() && is_full,
            "--stacks-referring-to and --memory full contradict each other; full memory holds all stacks",
        ),
        (
            output.format == FormatName::MachoCore && cfg!(not(target_vendor = "apple")),
            "--format macho-core is for processes of macOS, and none runs here; use --format core or minidump",
        ),
    ];
    first(&own).or_else(|| of_contents(contents, memory.mode))
}

fn of_convert(convert: &ConvertArguments) -> Option<String> {
    let own = [(
        is_dash(&convert.output) && convert.json,
        "--json and -o - both want the standard output; write the dump to a file with -o FILE",
    )];
    first(&own).or_else(|| of_contents(&convert.contents, convert.mode.unwrap_or_default()))
}

fn of_contents(contents: &ContentArguments, mode: MemoryName) -> Option<String> {
    let shared = [(
        contents.sanitize && mode != MemoryName::Stacks,
        "--sanitize cleans stacks only, and the other memory that --memory indirect and full keep may hold anything; \
         use --memory stacks",
    )];
    first(&shared).or_else(|| repeated_key(&contents.annotate))
}

fn first(contradictions: &[Contradiction]) -> Option<String> {
    contradictions.iter().find(|(wrong, _)| *wrong).map(|(_, message)| (*message).to_owned())
}

fn repeated_key(annotations: &[(String, String)]) -> Option<String> {
    let mut keys: Vec<&str> = annotations.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    let (key, _) = keys.iter().zip(keys.iter().skip(1)).find(|(one, next)| one == next)?;
    Some(format!("--annotate gives {key:?} twice; readers keep one value of each key"))
}
