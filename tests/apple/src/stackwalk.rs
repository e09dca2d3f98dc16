//! What minidump-stackwalk shows of a minidump, and the symbol files that it reads.

use crate::Arch;
use crate::tools::Tools;
use end_to_end::process;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Its report, with the symbol files below `symbols`.
#[track_caller]
pub fn report(tools: &Tools, dump: &Path, symbols: Option<&Path>) -> Value {
    let mut command = Command::new(&tools.stackwalk);
    command.args(["--json", "--verbose=error"]).arg(dump).args(symbols);
    let finished = process::run(&mut command).expect_success("minidump-stackwalk");
    assert_eq!(finished.stderr, "", "minidump-stackwalk has nothing to complain about");
    serde_json::from_slice(&finished.stdout).unwrap()
}

/// Frames of the thread at `index` as text: `module`function file:line, trust`, as far as they are known.
#[track_caller]
pub fn frames(report: &Value, index: usize) -> Vec<String> {
    let frames = report["threads"][index]["frames"].as_array().unwrap();
    let shown = frames.iter().map(|frame| {
        let text =
            |name: &str| frame[name].as_str().map(|text| text.rsplit('/').next().unwrap_or(text).to_owned());
        let module = text("module").unwrap_or_default();
        let function = text("function").map_or_else(String::new, |function| format!("`{function}"));
        let line = frame["line"].as_u64().zip(text("file"));
        let line = line.map_or_else(String::new, |(line, file)| format!(" {file}:{line}"));
        format!("{module}{function}{line}")
    });
    shown.collect()
}

/// Makes a symbol file below `store` by dump_syms, of a binary and of its debug information, which has no unwind tables.
#[track_caller]
pub fn store_symbols(tools: &Tools, arch: Arch, files: &[PathBuf], store: &Path) {
    let mut command = Command::new(&tools.dump_syms);
    command.args(["--arch", arch.name(), "--inlines", "--store"]).arg(store).args(files);
    process::run(&mut command).expect_success("dump_syms");
}

/// Debug id and name in the MODULE line that dump_syms makes of `file`.
#[track_caller]
pub fn module_line(tools: &Tools, arch: Arch, file: &Path) -> (String, String) {
    let mut command = Command::new(&tools.dump_syms);
    let finished = process::run(command.args(["--arch", arch.name()]).arg(file)).expect_success("dump_syms");
    let text = String::from_utf8_lossy(&finished.stdout).into_owned();
    let line = text.lines().next().unwrap();
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    assert_eq!(words[..3], ["MODULE", "Mac", arch.name()], "{line}");
    (words[3].to_owned(), words[4].to_owned())
}
