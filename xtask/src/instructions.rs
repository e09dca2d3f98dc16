//! `cargo xtask instructions`: how many instructions the parts of a dump take that are done without the kernel.
//!
//! Times differ from run to run and from machine to machine; the count of the same program hardly does. Callgrind counts
//! what one function of `tests/instructions` calls. The figures are for people to compare, so no figure fails.

use crate::{
    places, setup,
    shell::{self, Doing, Failure, Outcome},
};
use serde_json::json;
use std::{fs, path::Path};

/// The package, and the function whose calls are counted, as callgrind's patterns name it.
const PACKAGE: &str = "instructions";
const COUNTED: &str = "*measured::measured*";

/// One thing that is counted, as the program lists it.
#[derive(Debug, PartialEq, Eq)]
struct Bench {
    name: String,
    /// How many there are of what it goes through, and what that is.
    count: u64,
    unit: String,
}

/// Counts everything, prints a table, and writes `target/instructions.json`.
pub fn run(_: &[String]) -> Outcome {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return shell::missing("instructions are only counted on Linux on x86-64");
    }
    if !setup::valgrind()? {
        return Ok(());
    }
    shell::run(shell::cargo().args(["build", "--release", "--locked", "--package", PACKAGE]))?;
    let program = places::target().join("release").join(PACKAGE);
    let listed =
        shell::answer(&mut shell::program(&program)).ok_or("the list of benches could not be had")?;
    let benches: Vec<Bench> = listed.lines().filter_map(parse_line).collect();
    if benches.is_empty() {
        return Err("there is nothing to count".into());
    }
    let mut rows = Vec::new();
    println!("{:<22}{:>14}{:>10}  {:<8}{:>14}", "bench", "instructions", "count", "of", "for each");
    for bench in &benches {
        let instructions = count(&program, &bench.name)?;
        let each = instructions / bench.count.max(1);
        println!("{:<22}{instructions:>14}{:>10}  {:<8}{each:>14}", bench.name, bench.count, bench.unit);
        rows.push(json!({
            "bench": bench.name, "instructions": instructions, "count": bench.count, "unit": bench.unit, "each": each,
        }));
    }
    let path = places::target().join("instructions.json");
    let text = format!("{:#}\n", json!({ "benches": rows }));
    fs::write(&path, text).doing(format_args!("could not write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// `NAME\tCOUNT\tUNIT`.
fn parse_line(line: &str) -> Option<Bench> {
    let mut fields = line.split('\t');
    let (name, count, unit) = (fields.next()?, fields.next()?, fields.next()?);
    Some(Bench { name: name.to_owned(), count: count.parse().ok()?, unit: unit.to_owned() })
}

/// Runs one bench under callgrind and returns what it counted.
fn count(program: &Path, name: &str) -> Outcome<u64> {
    let folder = places::target().join("callgrind");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    let out = folder.join(format!("{name}.out"));
    let mut valgrind = shell::program("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--collect-atstart=no"]);
    valgrind
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(program).arg(name);
    shell::run(&mut valgrind)?;
    let text = fs::read_to_string(&out).doing(format_args!("could not read {}", out.display()))?;
    match total(&text) {
        Some(total) if total > 0 => Ok(total),
        _ => Err(Failure::from(format!("callgrind counted nothing in '{name}'"))),
    }
}

/// The sum in a callgrind file (Valgrind manual, "Callgrind Format Specification": `summary:` or, at the end, `totals:`).
fn total(text: &str) -> Option<u64> {
    let sums = |key: &'static str| text.lines().find_map(move |line| line.strip_prefix(key));
    sums("totals:").or_else(|| sums("summary:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_a_callgrind_file() {
        let text = "version: 1\nevents: Ir\nsummary: 12345\n\nfn=(1) f\n16 400\ntotals: 12346\n";
        assert_eq!(total(text), Some(12346));
        assert_eq!(total("version: 1\nsummary: 12345\n"), Some(12345));
        assert_eq!(total("version: 1\nevents: Ir\n"), None);
    }

    #[test]
    fn lines_of_the_list_name_a_bench_its_count_and_unit() {
        let bench = Bench { name: "maps".to_owned(), count: 5000, unit: "line".to_owned() };
        assert_eq!(parse_line("maps\t5000\tline"), Some(bench));
        assert_eq!(parse_line("maps\tmany\tline"), None);
        assert_eq!(parse_line(""), None);
    }
}
