//! Arguments of `run`.

use super::values::parse_size;
use super::{ContentArguments, MemoryName};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    #[cfg_attr(
        not(windows),
        doc = "Where dumps are kept [default: $XDG_STATE_HOME/minidump-writer or ~/.local/state/minidump-writer]"
    )]
    #[cfg_attr(windows, doc = r"Where dumps are kept [default: %LOCALAPPDATA%\minidump-writer]")]
    #[arg(short, long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Say nothing about crashes on standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// Memory to keep: stacks; also what registers and stacks point at; all that is readable
    #[arg(
        long = "memory",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "stacks|indirect|full"
    )]
    pub mode: MemoryName,
    /// Most memory to keep, such as 64K, 2M or 1.5G; every thread keeps the innermost part of its stack
    #[arg(long, value_name = "SIZE", value_parser = parse_size, allow_negative_numbers = true)]
    pub size_limit: Option<u64>,
    /// What a dump tells besides.
    #[command(flatten)]
    pub contents: ContentArguments,
}
