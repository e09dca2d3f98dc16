//! Combinations of options that make no sense.

use super::{Arguments, Command, DumpArguments, FormatName, MemoryName};
use clap::CommandFactory as _;
use clap::error::ErrorKind;

impl Arguments {
    /// Refuses combinations that contradict each other, with the way out.
    pub fn checked(self) -> Result<Self, clap::Error> {
        let complaint = match &self.command {
            Command::Dump(dump) => complaint(dump),
            Command::Show(_) => None,
        };
        match complaint {
            None => Ok(self),
            Some(message) => Err(Self::command().error(ErrorKind::ArgumentConflict, message)),
        }
    }
}

fn complaint(dump: &DumpArguments) -> Option<String> {
    let (output, memory, contents) = (&dump.output, &dump.memory, &dump.contents);
    let is_core = output.format == FormatName::Core;
    let is_full = memory.mode == MemoryName::Full;
    let fixed = [
        (
            dump.to_stdout() && output.json,
            "--json and -o - both want the standard output; write the dump to a file with -o FILE",
        ),
        (
            dump.to_stdout() && output.show,
            "--show and -o - both want the standard output; write the dump to a file with -o FILE",
        ),
        (
            contents.sanitize && memory.mode != MemoryName::Stacks,
            "--sanitize cleans stacks only, and the other memory that --memory indirect and full keep may hold \
             anything; use --memory stacks",
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
            is_core && !contents.omit.is_empty(),
            "--omit leaves out streams of a minidump, and a core has none; use --format minidump",
        ),
        (
            is_core && output.show,
            "--show reads minidumps only; open the core with gdb or lldb, or use --format minidump",
        ),
    ];
    let found = fixed.iter().find(|(wrong, _)| *wrong).map(|(_, message)| (*message).to_owned());
    found.or_else(|| repeated_key(&contents.annotate))
}

fn repeated_key(annotations: &[(String, String)]) -> Option<String> {
    let mut keys: Vec<&str> = annotations.iter().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    let (key, _) = keys.iter().zip(keys.iter().skip(1)).find(|(one, next)| one == next)?;
    Some(format!("--annotate gives {key:?} twice; readers keep one value of each key"))
}
