//! Arguments of `core-handler`.

use super::values::parse_time;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `core-handler`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct CoreHandlerArguments {
    /// Where the dumps go: an absolute path; --install makes the directory
    #[arg(value_name = "DIR", required_unless_present_any = ["uninstall", "status"])]
    pub directory: Option<PathBuf>,
    /// Make the kernel start this program for every crash; what was set before is kept in DIR
    #[arg(long, conflicts_with_all = ["uninstall", "status", "crash"])]
    pub install: bool,
    /// Set again what was set before --install
    #[arg(long, conflicts_with_all = ["status", "directory", "crash"])]
    pub uninstall: bool,
    /// Tell what is set, and what would lose crashes
    #[arg(long, conflicts_with_all = ["directory", "crash"])]
    pub status: bool,
    /// With --status: print one JSON object on the standard output
    #[arg(long, requires = "status")]
    pub json: bool,
    /// Hand each core on: to a |program with its arguments or to a /file, both with the % of core(5), or to what was set
    /// before (`previous`)
    #[arg(long, value_name = "PATTERN|previous", conflicts_with_all = ["uninstall", "status"])]
    pub pass_to: Option<String>,
    /// Longest that a crashed process is held, such as 30s
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "120s")]
    pub deadline: Duration,
    /// What the kernel tells of the crash, in the order that --install asks for
    #[arg(last = true, value_name = "CRASH")]
    pub crash: Vec<OsString>,
}
