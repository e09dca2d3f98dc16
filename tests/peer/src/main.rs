//! `peer PID OUT`: dumps process PID to file OUT with the published `minidump-writer` crate, using its defaults, and
//! prints one line of JSON: `{"wall_us":…,"peak_rss_kib":…,"bytes":…}`.
//!
//! `cargo xtask bench` runs it next to this repository's own program on the same target.

use minidump_writer::minidump_writer::MinidumpWriterConfig;
use std::{env, error::Error, fs, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    match dump() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dump() -> Result<String, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [pid, path] = arguments.as_slice() else {
        return Err("usage: peer PID OUT".into());
    };
    let pid = pid.parse().map_err(|error| format!("'{pid}' is not a process id: {error}"))?;

    let start = Instant::now();
    let mut file = fs::File::create(path)?;
    MinidumpWriterConfig::new(pid, pid).write(&mut file)?;
    let wall_us = start.elapsed().as_micros();

    let bytes = file.metadata()?.len();
    let peak_rss_kib = peak_rss_kib()?;
    Ok(format!(r#"{{"wall_us":{wall_us},"peak_rss_kib":{peak_rss_kib},"bytes":{bytes}}}"#))
}

/// Highest resident set of this process so far, in KiB (`VmHWM`, see `proc_pid_status(5)`).
fn peak_rss_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("/proc/self/status has no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
