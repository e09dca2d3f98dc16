//! `cargo xtask bench memory`: dumps of all memory of a large process, next to `gcore` and to a plain loop.
//!
//! The loop reads every readable mapping with `process_vm_readv` and writes it to a file: what the machine can do when
//! nothing else is asked for. It stops nobody, so its standstill says nothing.

use super::{
    case::{Case, FEW_ROUNDS},
    contenders, machine, os,
    run::measure,
    summary::CaseSummary,
    table,
};
use crate::{
    places,
    shell::{Doing, Outcome},
};
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

const DEFAULT_MIB: usize = 6 << 10;
/// Bytes that the plain loop reads at a time.
const BUFFER: usize = 1 << 20;

/// `bench memory [MIB] [ROUNDS] [FOLDER]`. The files are written to a folder below `target`, or to another one: on a disk
/// that is slower than memory, a file larger than what the kernel lets be dirty measures the disk.
pub fn run(arguments: &[String], ours: Option<&Path>) -> Outcome {
    let number = |index: usize, default: usize| match arguments.get(index) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("'{text}' is no number; use: bench memory [MIB] [ROUNDS] [FOLDER]")),
    };
    let (heap_mib, rounds) = (number(0, DEFAULT_MIB)?, number(1, FEW_ROUNDS)?.max(1));
    let folder = arguments.get(2).map_or_else(|| places::target().join("bench"), PathBuf::from);
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    let ours = contenders::ours(ours)?;
    let mut dumpers = contenders::of_all_memory(&ours, contenders::gcore().as_deref(), rounds);
    dumpers.push(contenders::plain_loop(rounds)?);

    let priority = os::RealTime::ask(os::HARNESS_PRIORITY);
    println!("{}\n\n{}", table::conditions(&machine::conditions(priority.is_granted())), table::heading());
    let results = measure(&Case::memory(heap_mib), &dumpers, &folder, None)?;
    drop(priority);
    let summary = CaseSummary::of(&results);
    print!("{}", table::rows(&summary));
    for row in &summary.rows {
        println!("  {:<24}{:>11} MiB/s", row.name, row.bytes_per_second() >> 20);
    }
    Ok(())
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
