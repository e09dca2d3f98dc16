//! Arguments of `handler`.

use super::values::{parse_size, parse_time};
use super::{ContentArguments, MemoryName};
use clap::Args;
use minidump_handler::store::Limits;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `handler`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct HandlerArguments {
    #[cfg_attr(not(windows), doc = "Where programs connect to; the socket is made")]
    #[cfg_attr(windows, doc = r"The pipe that programs connect to, NAME or \\.\pipe\NAME; it is made")]
    #[arg(long, value_name = "PATH", required_unless_present = "client", conflicts_with = "client")]
    pub socket: Option<PathBuf>,
    /// With --socket: let programs of other users connect, too
    #[arg(long, requires = "socket")]
    pub all_users: bool,
    /// Serve the program that starts this one, over the standard input; clients do so
    #[arg(long)]
    pub client: bool,
    #[cfg_attr(
        not(windows),
        doc = "Where dumps are kept [default: $XDG_STATE_HOME/minidump-writer or ~/.local/state/minidump-writer]"
    )]
    #[cfg_attr(windows, doc = r"Where dumps are kept [default: %LOCALAPPDATA%\minidump-writer]")]
    #[arg(short, long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Say nothing about dumps on standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// Dumps to take at a time [default: the number of processors, 2 to 16]
    #[arg(long, value_name = "COUNT")]
    pub jobs: Option<usize>,
    /// Answer when the medium has the dump, so that it survives a loss of power
    #[arg(long)]
    pub durable: bool,
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
    /// How much is kept.
    #[command(flatten)]
    pub limits: LimitArguments,
    /// What a dump tells besides.
    #[command(flatten)]
    pub contents: ContentArguments,
}

/// How much a dump directory may hold.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of the dump directory")]
pub struct LimitArguments {
    /// Most dumps
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub max_dumps: u64,
    /// Most bytes of all dumps, such as 512M or 4G
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "4G")]
    pub max_bytes: u64,
    /// Longest that a dump is kept, in days
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    pub max_days: u32,
    /// Most dumps of one program within --within; more of its crashes are only counted
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    pub per_program: u32,
    /// The time that --per-program is about
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "60s")]
    pub within: Duration,
}

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

impl From<&LimitArguments> for Limits {
    fn from(arguments: &LimitArguments) -> Self {
        Self {
            count: arguments.max_dumps,
            bytes: arguments.max_bytes,
            age: Duration::from_secs(u64::from(arguments.max_days) * SECONDS_PER_DAY),
            per_program: arguments.per_program,
            window: arguments.within,
        }
    }
}
