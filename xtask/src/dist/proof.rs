//! Is the static program what it should be: static, and able to dump and to show?

use crate::{
    places,
    shell::{self, Doing, Outcome},
};
use serde_json::Value;
use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Fails when it is not.
pub fn check(program: &Path) -> Outcome {
    let file = fs::read(program).doing(format_args!("could not read {}", program.display()))?;
    ensure(!asks_for_an_interpreter(&file)?, "the program is not static: it asks for a dynamic linker")?;
    let version = ask(program, &["--version"])?;
    let expected = format!("minidump-writer {}", env!("CARGO_PKG_VERSION"));
    ensure(version.trim_end() == expected, format!("the program calls itself '{}'", version.trim_end()))?;
    let folder = places::target().join("tmp/dist");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    let target = Target::start()?;
    for (name, extra) in [("plain.dmp", None), ("packed.dmp.zst", Some("--compress"))] {
        dump_and_show(program, &target, &folder.join(name), extra)?;
    }
    Ok(())
}

/// Dumps the target to `path`, shows the dump, and looks at what both say.
fn dump_and_show(program: &Path, target: &Target, path: &Path, extra: Option<&str>) -> Outcome {
    let (pid, place) = (target.child.id().to_string(), path.to_string_lossy());
    let mut arguments = vec!["dump", &pid, "--json", "-o", &place];
    arguments.extend(extra);
    let said = json(&ask(program, &arguments)?)?;
    ensure(said.pointer("/threads") == Some(&Target::THREADS.into()), format!("the dump says: {said}"))?;
    let shown = json(&ask(program, &["show", &place, "--json"])?)?;
    let frames = shown.pointer("/threads/0/frames").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_ours = |frame: &Value| {
        frame.get("function").and_then(Value::as_str).is_some_and(|name| name.contains("bench::target::run"))
    };
    let is_right = [
        shown.pointer("/process/pid") == Some(&target.child.id().into()),
        shown.get("threads").and_then(Value::as_array).map(Vec::len) == Some(Target::THREADS),
        shown.get("uncompressed_bytes").is_none_or(Value::is_null) == extra.is_none(),
        frames.iter().any(is_ours),
        frames.iter().any(|frame| frame.get("trust").and_then(Value::as_str) == Some("call_frame_info")),
    ];
    ensure(is_right == [true; 5], format!("the shown dump is not right ({is_right:?}): {shown}"))
}

/// Whether an ELF file of 64 bits in little endian has a PT_INTERP program header (elf(5)).
fn asks_for_an_interpreter(file: &[u8]) -> Outcome<bool> {
    const INTERPRETER: u32 = 3;
    let short = || "the program is cut short";
    ensure(file.starts_with(b"\x7fELF\x02\x01"), "the program is no ELF file of 64 bits")?;
    let half = |at: usize| file.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_le_bytes(*bytes)));
    let word = |at: usize| file.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
    let start = file.get(32..).and_then(<[u8]>::first_chunk).map(|bytes| u64::from_le_bytes(*bytes));
    let start = start.and_then(|start| usize::try_from(start).ok()).ok_or_else(short)?;
    let (size, count) = half(54).zip(half(56)).ok_or_else(short)?;
    let kinds = (0..count).map(|index| word(start.saturating_add(size * index)));
    let kinds: Option<Vec<u32>> = kinds.collect();
    Ok(kinds.ok_or_else(short)?.contains(&INTERPRETER))
}

fn ask(program: &Path, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.doing(format_args!("could not start {}", program.display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{} {}` ended with {}: {told}", program.display(), arguments.join(" "), output.status)
        .into())
}

fn json(text: &str) -> Outcome<Value> {
    serde_json::from_str(text).map_err(|error| format!("this is no JSON object ({error}): {text}").into())
}

fn ensure(is_so: bool, otherwise: impl Into<shell::Failure>) -> Outcome {
    if is_so { Ok(()) } else { Err(otherwise.into()) }
}

/// A process to dump. It is ended when this is dropped.
struct Target {
    child: Child,
}

impl Target {
    const THREADS: usize = 4;

    /// Starts it and waits until all of its threads are there.
    fn start() -> Outcome<Self> {
        let program = env::current_exe().doing("where is this program?")?;
        let mut command = Command::new(program);
        command.args(["bench-target", &Self::THREADS.to_string(), "0", "0", "0", "0"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut target = Self { child: command.spawn().doing("could not start the process to dump")? };
        let mut line = String::new();
        if let Some(output) = target.child.stdout.take() {
            BufReader::new(output).read_line(&mut line).doing("the process to dump is gone")?;
        }
        ensure(line == "ready\n", format!("the process to dump said '{line}'"))?;
        Ok(target)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // It may have been left stopped by a dumper that failed; killing works in every state.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_this_machine_asks_for_an_interpreter_and_garbage_is_refused() {
        let own = fs::read(env::current_exe().unwrap()).unwrap();
        assert!(asks_for_an_interpreter(&own).unwrap());
        assert!(asks_for_an_interpreter(&own[..80]).is_err());
        assert!(asks_for_an_interpreter(b"#!/bin/sh").is_err());
    }
}
