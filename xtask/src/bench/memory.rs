//! `cargo xtask bench memory`: dumps of all memory of a large process, next to `gcore` and to a plain loop.
//!
//! The loop reads every readable mapping with `process_vm_readv` and writes it to a file: what the machine can do when
//! nothing else is asked for. It stops nobody, so its standstill says nothing.

use super::{case::Case, dumper, live::Target, os, sample::median};
use crate::{
    places,
    shell::{self, Doing, Outcome},
};
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const DEFAULT_MIB: usize = 6 << 10;
const DEFAULT_ROUNDS: usize = 3;
/// Bytes that the plain loop reads at a time.
const BUFFER: usize = 1 << 20;

/// A way to save all memory of a process.
struct Contender {
    name: &'static str,
    program: PathBuf,
    arguments: &'static [&'static str],
    /// What the program appends to the name it is given; `PID` stands for the process id.
    suffix: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    standstill: Duration,
    wall: Duration,
    cpu: Duration,
    peak_rss: u64,
    bytes: u64,
}

/// `bench memory [MIB] [ROUNDS] [FOLDER]`. The files are written to a folder below `target`, or to another one: on a disk
/// that is slower than memory, a file larger than what the kernel lets be dirty measures the disk.
pub fn run(arguments: &[String]) -> Outcome {
    let number = |index: usize, default: usize| match arguments.get(index) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("'{text}' is no number; use: bench memory [MIB] [ROUNDS] [FOLDER]")),
    };
    let (heap_mib, rounds) = (number(0, DEFAULT_MIB)?, number(1, DEFAULT_ROUNDS)?.max(1));
    shell::run(shell::cargo().args(["build", "--release", "--package", "minidump-cli"]))?;
    let folder = arguments.get(2).map_or_else(|| places::target().join("bench"), PathBuf::from);
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    let contenders = contenders()?;
    let case = Case { name: "memory", threads: 16, maps: 0, libraries: 0, heap_mib, busy: false };

    let priority = os::RealTime::ask(os::HARNESS_PRIORITY);
    let mut target = Target::start(&case)?;
    println!("{heap_mib} MiB of heap, 16 threads, median of {rounds} rounds; times in ms\n");
    println!("{:<24}{:>12}{:>12}{:>12}{:>12}{:>12}", "", "standstill", "wall", "cpu", "rss KiB", "MiB/s");
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            samples.push(measure(contender, &mut target, &folder)?);
        }
    }
    drop(priority);
    for (contender, samples) in contenders.iter().zip(&samples) {
        println!("{}", row(contender.name, samples));
    }
    Ok(())
}

fn contenders() -> Outcome<Vec<Contender>> {
    let ours = places::target().join("release/minidump-writer");
    let own = std::env::current_exe().doing("where is this program?")?;
    let mut contenders = vec![
        Contender {
            name: "full",
            program: ours.clone(),
            arguments: &["dump", "PID", "-o", "OUT", "--memory", "full", "--json"],
            suffix: "",
        },
        Contender {
            name: "full, copy on write",
            program: ours.clone(),
            arguments: &["dump", "PID", "-o", "OUT", "--memory", "full", "--cow", "--json"],
            suffix: "",
        },
        Contender { name: "plain loop", program: own, arguments: &["bench-loop", "PID", "OUT"], suffix: "" },
    ];
    match shell::find("gcore") {
        Some(program) => {
            let arguments = &["-o", "OUT", "PID"];
            contenders.push(Contender { name: "gcore", program, arguments, suffix: ".PID" });
        }
        None => eprintln!("xtask: gcore is not installed, so it is not compared"),
    }
    Ok(contenders)
}

fn measure(contender: &Contender, target: &mut Target, folder: &Path) -> Outcome<Sample> {
    let pid = target.pid().to_string();
    let path = folder.join("memory.dump");
    let mut command = Command::new(&contender.program);
    for argument in contender.arguments {
        match *argument {
            "PID" => command.arg(&pid),
            "OUT" => command.arg(&path),
            other => command.arg(other),
        };
    }
    target.start_sampling()?;
    let ran = dumper::run(command, contender.name, folder);
    let gaps = target.stop_sampling()?;
    let (usage, wall, _) = ran?;
    let mut name = path.into_os_string();
    name.push(contender.suffix.replace("PID", &pid));
    let path = PathBuf::from(name);
    let bytes = fs::metadata(&path).doing(format_args!("no dump at {}", path.display()))?.len();
    fs::remove_file(&path).doing(format_args!("could not delete {}", path.display()))?;
    Ok(Sample { standstill: gaps.largest, wall, cpu: usage.cpu, peak_rss: usage.peak_rss, bytes })
}

fn row(name: &str, samples: &[Sample]) -> String {
    let ms = |time: fn(&Sample) -> Duration| median(samples.iter().map(time)).as_millis();
    let rate = median(samples.iter().map(|sample| {
        let us = u64::try_from(sample.wall.as_micros()).unwrap_or(u64::MAX).max(1);
        sample.bytes.saturating_mul(1_000_000) / us / (1 << 20)
    }));
    format!(
        "{name:<24}{:>12}{:>12}{:>12}{:>12}{rate:>12}",
        ms(|sample| sample.standstill),
        ms(|sample| sample.wall),
        ms(|sample| sample.cpu),
        median(samples.iter().map(|sample| sample.peak_rss)) >> 10,
    )
}

/// `bench-loop PID OUT`: the plain loop.
pub fn plain_loop(arguments: &[String]) -> Outcome {
    let [pid, path] = arguments else { return Err("bench-loop takes two arguments: PID OUT".into()) };
    let number: i32 = pid.parse().map_err(|_| format!("'{pid}' is no process id"))?;
    let mut maps = String::new();
    File::open(format!("/proc/{pid}/maps"))
        .and_then(|mut file| file.read_to_string(&mut maps))
        .doing("could not read the memory map")?;
    let mut output = File::create(path).doing(format_args!("could not create {path}"))?;
    let mut buffer = vec![0; BUFFER];
    for (mut address, end) in maps.lines().filter_map(readable) {
        while address < end {
            let left = usize::try_from(end - address).unwrap_or(BUFFER).min(BUFFER);
            let Some(piece) = buffer.get_mut(..left) else { break };
            let Ok(read @ 1..) = os::read_memory(number, address, piece) else { break };
            output.write_all(piece.get(..read).unwrap_or_default()).doing("could not write")?;
            address += read as u64;
        }
    }
    Ok(())
}

/// The range of a line of the memory map, if it can be read and is the program's own.
fn readable(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let rights = fields.next()?;
    let kernel = line.ends_with("[vvar]") || line.ends_with("[vsyscall]") || line.ends_with("[vvar_vclock]");
    let number = |text| u64::from_str_radix(text, 16).ok();
    (rights.starts_with('r') && !kernel).then_some((number(start)?, number(end)?))
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn the_plain_loop_takes_what_is_readable_and_not_the_kernels() {
        assert_eq!(readable("1000-3000 rw-p 00000000 00:00 0 "), Some((0x1000, 0x3000)));
        assert_eq!(readable("1000-3000 ---p 00000000 00:00 0 "), None);
        assert_eq!(readable("7000-9000 r--p 00000000 00:00 0                  [vvar]"), None);
        assert_eq!(readable("nonsense"), None);
    }
}
