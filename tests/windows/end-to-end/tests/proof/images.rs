//! What is known of the programs themselves, by GNU's tools.

use crate::machine;
use end_to_end::process;
use std::path::Path;
use std::process::Command;

/// A tool of binutils for the programs' format.
fn tool(name: &str) -> Command {
    let prefix = if machine::is_wide() { "x86_64" } else { "i686" };
    Command::new(format!("{prefix}-w64-mingw32-{name}"))
}

/// The GUID that the linker gave a program, in the order of the file: its first three numbers are little-endian there, and shown
/// the other way around.
#[track_caller]
pub fn linked_guid(program: &Path) -> Vec<u8> {
    let finished = process::run(tool("objdump").arg("-p").arg(program)).expect_success("objdump");
    let text = String::from_utf8_lossy(&finished.stdout).into_owned();
    let digits = text.split_once("RSDS signature ").expect("it has an id").1.split(' ').next().unwrap();
    let bytes = digits.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    let mut bytes: Vec<u8> = bytes.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    for number in [0..4, 4..6, 6..8] {
        bytes[number].reverse();
    }
    bytes
}

/// Functions of a program, by address.
pub struct Functions(Vec<(u64, String)>);

impl Functions {
    /// Those of the crasher.
    #[track_caller]
    pub fn of_crasher() -> Self {
        let program = machine::crasher_here();
        let base = image_base(&program);
        let finished = process::run(tool("nm").args(["--demangle", "--numeric-sort"]).arg(&program));
        let finished = finished.expect_success("nm");
        let text = String::from_utf8_lossy(&finished.stdout).into_owned();
        let functions = text.lines().filter_map(|line| {
            let (address, rest) = line.split_once(' ')?;
            let (kind, name) = rest.split_once(' ')?;
            let address = u64::from_str_radix(address, 16).ok()?.checked_sub(base)?;
            matches!(kind, "t" | "T").then(|| (address, name.to_owned()))
        });
        Self(functions.collect())
    }

    /// The function at an offset from the beginning of the image.
    pub fn at(&self, offset: u64) -> &str {
        let next = self.0.partition_point(|(start, _)| *start <= offset);
        next.checked_sub(1).map_or("", |index| &self.0[index].1)
    }
}

/// The address that a program is linked for.
#[track_caller]
fn image_base(program: &Path) -> u64 {
    let finished = process::run(tool("objdump").arg("-p").arg(program)).expect_success("objdump");
    let text = String::from_utf8_lossy(&finished.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("ImageBase")).expect("it has a base");
    u64::from_str_radix(line.trim(), 16).unwrap()
}
