//! The machine that the bench runs on.

use super::{os, results::Conditions};
use std::fs;

/// What it is, for the record.
pub fn conditions(real_time: bool) -> Conditions {
    Conditions {
        kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
        processor: value(&text("/proc/cpuinfo"), "model name").to_owned(),
        processors: os::processors(),
        memory_mib: memory("MemTotal"),
        real_time,
    }
}

/// Memory that programs can still get, in MiB.
pub fn available_mib() -> u64 {
    memory("MemAvailable")
}

/// The part of the last minute, in percent, in which some thread waited for a processor (Documentation/accounting/psi.rst).
pub fn processor_pressure() -> Option<u64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let average = text.lines().next()?.split_once("avg60=")?.1.split('.').next()?;
    average.parse().ok()
}

fn memory(name: &str) -> u64 {
    let text = text("/proc/meminfo");
    value(&text, name).trim_end_matches(" kB").parse().unwrap_or(0) >> 10
}

/// What stands behind `name` and a colon.
fn value<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    found.map_or("?", |(_, value)| value.trim())
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_value_stands_behind_its_name() {
        let text =
            "processor\t: 0\nmodel name\t: Some CPU @ 2: fast\n\nprocessor\t: 1\nmodel name\t: other\n";
        assert_eq!(value(text, "model name"), "Some CPU @ 2: fast");
        assert_eq!(value(text, "flags"), "?");
    }
}
