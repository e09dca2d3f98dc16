//! Linking the program so that what a dump runs lies together.
//!
//! A dump runs a tenth of the program's code, spread over all of it: every 64 KiB that it touches for the first time cost a
//! page fault, together as much time as the system calls of a small dump. So the program is linked twice: once to watch
//! which functions a dump runs (`used.c`), and then with these in front. Both links take
//! the same objects, which the compiler makes once.

use super::link::host_tool;
use crate::shell::{self, Doing, Outcome};
use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// What the compiler calls in place of a linker: this program, with `folder` to work in.
pub fn linker(folder: &Path) -> Outcome<PathBuf> {
    let this = env::current_exe().doing("where is this program?")?;
    let script = folder.join("link-in-order");
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', r"'\''"));
    let text = format!("#!/bin/sh\nexec {} link-in-order {} \"$@\"\n", quoted(&this), quoted(folder));
    fs::write(&script, text).doing(script.display())?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).doing(script.display())?;
    Ok(script)
}

/// `link-in-order FOLDER ARGUMENTS`: does what `gcc ARGUMENTS` does, with the functions that a dump runs in front.
pub fn link(arguments: &[String]) -> Outcome {
    let (folder, arguments) = arguments.split_first().ok_or("a folder to work in is missing")?;
    let folder = Path::new(folder);
    let program = folder.join("in-any-order");
    shell::run(gcc().args(with_names(arguments, &program)?))?;
    let mut last = gcc();
    last.args(arguments);
    match used_functions(&program, folder) {
        Ok(functions) => {
            let list = folder.join("functions");
            fs::write(&list, functions.join("\n")).doing(list.display())?;
            last.arg(format!("-Wl,--symbol-ordering-file={}", list.display()));
            // Of equal functions one remains, and may have had another name in the first link.
            last.arg("-Wl,--no-warn-symbol-ordering");
        }
        // The program is as good, it only starts more slowly.
        Err(failure) => eprintln!("xtask: functions are left in the compiler's order: {failure}"),
    }
    let outcome = shell::run(&mut last);
    let _ = fs::remove_file(&program);
    outcome
}

fn gcc() -> Command {
    shell::program("gcc")
}

/// The arguments for a program `output` that keeps its symbols.
fn with_names(arguments: &[String], output: &Path) -> Outcome<Vec<String>> {
    let place = arguments.iter().position(|argument| argument == "-o").ok_or("there is no -o")? + 1;
    let mut arguments = arguments.to_vec();
    *arguments.get_mut(place).ok_or("there is nothing behind -o")? = output.display().to_string();
    arguments.retain(|argument| !matches!(argument.as_str(), "-s" | "-Wl,--strip-all" | "-Wl,--strip-debug"));
    Ok(arguments)
}

/// Names of the functions that `program` runs when it dumps a small process, in the order of their addresses.
fn used_functions(program: &Path, folder: &Path) -> Outcome<Vec<String>> {
    let watcher = host_tool("used", folder)?;
    let target = Target(Command::new("sleep").arg("600").spawn().doing("sleep")?);
    let dump = folder.join("watched.dmp");
    let mut watch = Command::new(&watcher);
    watch.arg(program).args(["dump", &target.0.id().to_string(), "-o"]).arg(&dump);
    let watched = watch.stdin(Stdio::null()).stderr(Stdio::null()).output().doing(watcher.display())?;
    let _ = fs::remove_file(&dump);
    if !watched.status.success() {
        return Err(format!("watching a dump ended with {}", watched.status).into());
    }
    let names = symbols(program)?;
    let functions = functions_at(&String::from_utf8_lossy(&watched.stdout), &names);
    if functions.is_empty() { Err("no function was seen".into()) } else { Ok(functions) }
}

/// The names of a program's functions by their addresses; one address may have several.
fn symbols(program: &Path) -> Outcome<BTreeMap<u64, Vec<String>>> {
    let arguments = [OsStr::new("--defined-only"), program.as_os_str()];
    let text = shell::answer(shell::program("nm").args(arguments)).ok_or("nm could not read the program")?;
    Ok(functions_of(&text))
}

/// The functions in the output of `nm`.
fn functions_of(text: &str) -> BTreeMap<u64, Vec<String>> {
    let mut functions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if let (Ok(address), "t" | "T" | "w" | "W") = (u64::from_str_radix(address, 16), kind) {
            functions.entry(address).or_default().push(name.to_owned());
        }
    }
    functions
}

/// The names of the functions that the `offsets` lie in.
fn functions_at(offsets: &str, names: &BTreeMap<u64, Vec<String>>) -> Vec<String> {
    let offsets = offsets.lines().filter_map(|line| u64::from_str_radix(line, 16).ok());
    let starts = offsets.filter_map(|offset| names.range(..=offset).next_back());
    let used: BTreeMap<u64, &Vec<String>> = starts.map(|(address, names)| (*address, names)).collect();
    used.into_values().flatten().cloned().collect()
}

/// A process to dump. It is ended when this is dropped.
struct Target(Child);

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NM: &str = "0000000000001000 T first\n0000000000001000 t alias\n0000000000001040 t second\n\
                      0000000000001080 r data\n0000000000001100 T third\n                 w absent\n";

    #[test]
    fn every_offset_counts_for_the_function_before_it_and_each_function_once() {
        let names = functions_of(NM);
        assert_eq!(functions_at("1044\n1001\n1040\n103f\nfff\n", &names), ["first", "alias", "second"]);
        assert_eq!(functions_at("10ff\n2000\n", &names), ["second", "third"]);
    }

    #[test]
    fn the_first_link_keeps_names_and_goes_elsewhere() {
        let arguments = ["a.o", "-Wl,--strip-all", "-o", "program", "-s"].map(str::to_owned);
        assert_eq!(with_names(&arguments, Path::new("/x/y")).unwrap(), ["a.o", "-o", "/x/y"]);
        assert!(with_names(&["-o".to_owned()], Path::new("/x/y")).is_err());
        assert!(with_names(&["a.o".to_owned()], Path::new("/x/y")).is_err());
    }
}
