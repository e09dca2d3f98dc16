//! Notes about the process as a whole: `NT_PRPSINFO`, `NT_SIGINFO`, `NT_AUXV`, `NT_FILE`.

use super::fields::Fields;
use super::note::{AUXV, CORE, FILE, Notes, PRPSINFO, SIGINFO};
use super::{file_note, siginfo, status};
use minidump_snapshot::{Snapshot, SoftError, Stage, Thread};

/// The notes, in the order of Linux (`fs/binfmt_elf.c` `fill_note_info`).
pub(crate) fn process_notes(
    snapshot: &Snapshot,
    first: Option<&Thread>,
    page_size: u64,
    soft_errors: &mut Vec<SoftError>,
) -> Vec<u8> {
    let mut notes = Notes::default();
    let mut push = |kind, name: &str, contents: &[u8]| {
        if !notes.push(CORE, kind, contents) {
            let message = format!("note {name} was left out: it is longer than 4 GiB");
            soft_errors.push(SoftError::new(Stage::Format, message));
        }
    };
    push(PRPSINFO, "PRPSINFO", &prpsinfo(snapshot, first));
    if let Some(exception) = &snapshot.exception {
        push(SIGINFO, "SIGINFO", &siginfo::siginfo(exception));
    }
    if let Some(auxv) = snapshot.linux.as_ref().and_then(|facts| facts.auxv.as_ref()) {
        push(AUXV, "AUXV", auxv);
    }
    if let Some(files) = file_note::mapped_files(snapshot, page_size) {
        push(FILE, "FILE", &files);
    }
    notes.finish()
}

/// `struct elf_prpsinfo` of <linux/elfcore.h>, 136 bytes on 64-bit systems: state as a number, as a letter, zombie or
/// not, nice value; flags at 8; uid, gid, pid, parent, group, session at 16; name at 40, arguments at 56.
fn prpsinfo(snapshot: &Snapshot, first: Option<&Thread>) -> Vec<u8> {
    /// The letters by number; 0 is running.
    const LETTERS: &str = "RSDTZW";
    let (process, facts) = (&snapshot.process, snapshot.linux.as_ref());
    let letter = first.and_then(|thread| thread.state).filter(char::is_ascii).unwrap_or('R');
    let number = LETTERS.find(letter).and_then(|index| u8::try_from(index).ok()).unwrap_or(0);
    let letter = u8::try_from(letter).unwrap_or(b'R');
    let nice = first.and_then(|thread| thread.priority).map_or(0, nice);
    let status = facts.and_then(|facts| facts.status.as_deref()).unwrap_or_default();
    let of_status = |name: &[u8]| status::number(status, name).unwrap_or(0);
    let arguments = facts.and_then(|facts| facts.cmdline.as_deref()).unwrap_or_default();
    Fields::with_capacity(136)
        .bytes(&[number, letter, u8::from(letter == b'Z'), nice])
        .zeros_to(16)
        .u32(process.uid.unwrap_or(0))
        .u32(of_status(b"Gid"))
        .u32(process.pid)
        .u32(process.parent_pid.unwrap_or(0))
        .u32(of_status(b"NSpgid"))
        .u32(of_status(b"NSsid"))
        .text(program_name(snapshot), 16)
        .text(&one_line(arguments), 80)
        .finish()
}

/// The nice value, as a signed byte, of a priority as Linux counts it: 20 + nice, negative for real time.
fn nice(priority: i32) -> u8 {
    let nice = priority.checked_sub(20).filter(|_| (0..40).contains(&priority)).unwrap_or(0);
    i8::try_from(nice).unwrap_or(0).cast_unsigned()
}

fn program_name(snapshot: &Snapshot) -> &[u8] {
    let path = snapshot.process.executable.as_deref().unwrap_or_default();
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Arguments with spaces between them.
fn one_line(arguments: &[u8]) -> Vec<u8> {
    let start = arguments.get(..80).unwrap_or(arguments);
    let mut line: Vec<u8> = start.iter().map(|byte| if *byte == 0 { b' ' } else { *byte }).collect();
    let end = line.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
    line.truncate(end);
    line
}
