//! From arguments to what the library is asked for.

#[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
use crate::args::MemoryName;
use crate::args::{ContentArguments, ConvertArguments, DumpArguments};
use crate::exit::Failure;
use crate::proc_maps;
use minidump_writer::DumpOptions;
use minidump_writer::snapshot::MemoryPolicy;

/// The options of a dump. Looks at the process only for `--stacks-referring-to`.
pub fn of_dump(arguments: &DumpArguments) -> Result<DumpOptions, Failure> {
    let mut options = DumpOptions::default();
    options.blamed_thread = arguments.tid;
    options.format = arguments.output.format.into();
    options.memory = policy(arguments)?;
    options.copy_on_write = arguments.memory.cow;
    add_contents(&mut options, &arguments.contents);
    if let Some(deadline) = arguments.deadline {
        options.deadline = deadline;
        options.hold_limit = deadline;
    }
    Ok(options)
}

/// The options of the dumps of a supervised command.
#[cfg(any(windows, all(target_os = "linux", target_arch = "x86_64")))]
pub fn of_run(arguments: &crate::args::RunArguments) -> DumpOptions {
    of_crash(arguments.mode, arguments.size_limit, &arguments.contents)
}

/// The options of the dumps of programs that ask for them.
#[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
pub fn of_handler(arguments: &crate::args::HandlerArguments) -> DumpOptions {
    of_crash(arguments.mode, arguments.size_limit, &arguments.contents)
}

#[cfg(any(target_os = "macos", windows, all(target_os = "linux", target_arch = "x86_64")))]
fn of_crash(mode: MemoryName, limit: Option<u64>, contents: &ContentArguments) -> DumpOptions {
    let mut options = DumpOptions::default();
    options.memory = MemoryPolicy { mode: mode.into(), ..MemoryPolicy::default() };
    if let Some(limit) = limit {
        options.memory.budget = limit;
    }
    add_contents(&mut options, contents);
    options
}

/// The options of a conversion.
pub fn of_convert(arguments: &ConvertArguments) -> DumpOptions {
    let mut options = DumpOptions::default();
    options.memory.mode = arguments.mode.unwrap_or_default().into();
    add_contents(&mut options, &arguments.contents);
    options
}

fn add_contents(options: &mut DumpOptions, contents: &ContentArguments) {
    options.sanitize = contents.sanitize;
    options.omit.clone_from(&contents.omit);
    options.keep_environ = contents.keep_environ;
    options.annotations.clone_from(&contents.annotate);
}

fn policy(arguments: &DumpArguments) -> Result<MemoryPolicy, Failure> {
    let mut policy = MemoryPolicy { mode: arguments.memory.mode.into(), ..MemoryPolicy::default() };
    policy.application.clone_from(&arguments.memory.app_memory);
    if let Some(limit) = arguments.memory.size_limit {
        policy.budget = limit;
    }
    if let Some(address) = arguments.memory.stacks_referring_to {
        policy.only_stacks_referring_to = Some(referred(arguments, address)?);
    }
    Ok(policy)
}

/// The range that stacks shall refer to: the module or mapping at `address`.
fn referred(arguments: &DumpArguments, address: u64) -> Result<(u64, u64), Failure> {
    if cfg!(windows) {
        let sentence =
            "--stacks-referring-to looks the module up in /proc, and there is none on Windows; leave it out";
        return Err(Failure::Failed(sentence.into()));
    }
    let pid = arguments.pid;
    let text = std::fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    if text.is_empty() {
        // There is no such process, or it may not be looked at: the library has better words for that.
        return Ok((address, 1));
    }
    proc_maps::module_at(&text, address).ok_or_else(|| {
        let sentence = format!(
            "process {pid} has nothing mapped at {address:#x}, so no stack can refer to it; /proc/{pid}/maps lists \
             what it has"
        );
        Failure::Failed(sentence)
    })
}
