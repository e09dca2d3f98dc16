//! Arguments of `core-handler`.

use super::values::parse_time;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Where the socket is when nothing else is said.
const USUAL_SOCKET: &str = "/run/minidump-writer/core.sock";

/// Arguments of `core-handler`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct CoreHandlerArguments {
    /// Where the dumps go: an absolute path; --install makes the directory
    #[arg(
        value_name = "DIR",
        required_unless_present_any = ["uninstall", "status", "listen", "socket", "serve"]
    )]
    pub directory: Option<PathBuf>,
    /// Make the kernel start this program for every crash; what was set before is kept in DIR, or beside the socket
    #[arg(long, conflicts_with_all = ["uninstall", "status", "crash"])]
    pub install: bool,
    /// With --install: make the kernel connect to a socket instead, which --listen has to serve (Linux 6.16) [default:
    /// /run/minidump-writer/core.sock]
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        default_missing_value = USUAL_SOCKET,
        hide_default_value = true,
        requires = "install",
        conflicts_with_all = ["directory", "uninstall", "status", "crash"]
    )]
    pub socket: Option<PathBuf>,
    /// Stay, and dump the crashes that the kernel brings to this socket [default: /run/minidump-writer/core.sock]
    #[arg(
        long,
        value_name = "PATH",
        num_args = 0..=1,
        default_missing_value = USUAL_SOCKET,
        conflicts_with_all = ["directory", "install", "uninstall", "status", "crash"]
    )]
    pub listen: Option<PathBuf>,
    /// With --listen: where the dumps go [default: /var/lib/minidump-writer]
    #[arg(short = 'd', value_name = "DIR", conflicts_with_all = ["directory", "install", "uninstall", "status", "crash"])]
    pub dumps: Option<PathBuf>,
    /// Take care of the crash whose process is at the other end of the standard input: --listen starts this
    #[arg(
        long,
        value_name = "PATH",
        hide = true,
        requires = "dumps",
        conflicts_with_all = ["directory", "install", "uninstall", "status", "listen", "crash"]
    )]
    pub serve: Option<PathBuf>,
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
