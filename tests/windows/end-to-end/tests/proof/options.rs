//! The options of `dump` do on Windows what they do on Linux: the same assertions on the same scenarios.

use crate::machine;
use end_to_end::annotations::{arguments, assert_annotated};
use end_to_end::needs;
use end_to_end::pointed_to::{Memory, targets, threads};
use end_to_end::privacy::{assert_sanitised, holds};
use end_to_end::stack_pointers::assert_every_stack_pointer;
use end_to_end::target::{number, pattern};
use end_to_end::{Dump, Target};

const ARGUMENT: &str = "--password=swordfish-on-the-command-line";
const TOKEN: &str = "token-that-nobody-else-shall-see";
const PLAIN: &str = "a-value-with-an-innocent-name";

/// A crasher with secrets on its stack, its command line and in its environment; `None` where there is none of this kind.
#[track_caller]
fn secrets(test: &str) -> Option<Target> {
    if !machine::is_wide() {
        needs::not_here(test, "the scenario is for 64 bits");
        return None;
    }
    let mut command = machine::command("windows-crasher.exe");
    command.args(["secrets", ARGUMENT]).env("DEPLOY_API_TOKEN", TOKEN).env("INNOCENT", PLAIN);
    Some(Target::start_command(&mut command))
}

/// A text as Windows keeps it.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Whether the dump has the text in either form.
fn tells(dump: &Dump, text: &str) -> bool {
    holds(&dump.bytes, text.as_bytes()) || holds(&dump.bytes, &wide(text))
}

#[test]
fn sanitising_keeps_what_unwinding_needs_and_nothing_else() {
    let Some(target) = secrets("sanitising_keeps_what_unwinding_needs_and_nothing_else") else { return };
    assert_sanitised(&machine::dump_with(&target, ["--sanitize"]), &target.facts);
}

#[test]
fn values_with_secret_names_are_blanked_unless_they_are_asked_for() {
    let Some(target) = secrets("values_with_secret_names_are_blanked") else { return };
    let all = |more: &[&str]| machine::dump_with(&target, ["--memory", "full"].iter().chain(more));
    let kept = all(&["--keep-environ"]);
    assert!(holds(&kept.bytes, &wide(&format!("DEPLOY_API_TOKEN={TOKEN}"))), "the environment is there");
    let by_default = all(&[]);
    assert!(holds(&by_default.bytes, &wide("DEPLOY_API_TOKEN=")), "the name stays");
    assert!(holds(&by_default.bytes, &wide(&format!("INNOCENT={PLAIN}"))), "other values stay");
    // Where the system put it; what the program and Wine copied elsewhere is their own affair.
    let value = wide(&format!("DEPLOY_API_TOKEN={TOKEN}"));
    let count = |dump: &Dump| dump.bytes.windows(value.len()).filter(|window| *window == value).count();
    assert!(count(&by_default) < count(&kept), "{} of {} copies are left", count(&by_default), count(&kept));
}

#[test]
fn a_dump_of_the_stacks_has_no_environment() {
    let Some(target) = secrets("a_dump_of_the_stacks_has_no_environment") else { return };
    let dump = machine::dump(&target);
    for secret in [TOKEN, PLAIN] {
        assert!(!tells(&dump, secret), "{secret} is in the dump");
    }
}

#[test]
fn with_the_right_options_no_secret_is_anywhere_in_the_file() {
    let Some(target) = secrets("with_the_right_options_no_secret_is_anywhere") else { return };
    let (_, text) = pattern(&target.facts["text"]);
    let open = machine::dump_with(&target, ["--keep-environ"]);
    assert!(holds(&open.bytes, &text), "the secret of the stack is in an open dump");
    for secret in [ARGUMENT, TOKEN, PLAIN] {
        assert!(tells(&open, secret), "{secret} is in an open dump");
    }
    let closed = machine::dump_with(&target, ["--sanitize", "--omit", "cmdline,environ"]);
    assert!(!holds(&closed.bytes, &text), "the secret of the stack is in the dump");
    for secret in [ARGUMENT, TOKEN, PLAIN] {
        assert!(!tells(&closed, secret), "{secret} is in the dump");
    }
}

#[test]
fn annotations_are_crashpads_own() {
    let target = machine::start(&["threads", "2"]);
    // What Wine makes of arguments beyond the system's own set of characters is its affair.
    let dump = machine::dump_with(&target, arguments());
    assert_annotated(&dump);
}

#[test]
fn a_size_limit_leaves_every_thread_its_stack_pointer() {
    let target = machine::start(&["threads", "120"]);
    let mut before = 0;
    for (name, limit) in [("64K", 64 << 10), ("128K", 128 << 10), ("256K", 256 << 10)] {
        let dump = machine::dump_with(&target, ["--size-limit", name]);
        let kept = dump.memory_total();
        assert!(kept <= limit, "{name}: {kept} bytes of memory");
        assert_every_stack_pointer(&dump);
        assert!(kept > before, "{name}: a higher limit keeps more, {kept} and {before} bytes");
        before = kept;
    }
}

#[test]
fn every_stream_that_can_be_left_out_is_left_out_when_asked() {
    let target = machine::start(&["wait"]);
    let whole = machine::dump_with(&target, ["--annotate", "key=value"]);
    for (name, number) in [
        ("handle-data", 12),
        ("misc-info", 15),
        ("memory-info", 16),
        ("thread-info", 17),
        ("thread-names", 24),
        ("annotations", 0x4350_0001),
    ] {
        assert!(whole.stream(number).is_some(), "{name} is there when nobody minds");
        let dump = machine::dump_with(&target, ["--annotate", "key=value", "--omit", name]);
        assert_eq!(dump.stream(number), None, "{name}");
        assert!(dump.instruction_and_stack_pointer(target.parked()[0].tid).is_some(), "{name}");
    }
}

#[test]
fn what_stacks_and_registers_point_at_is_there() {
    if !machine::is_wide() {
        return needs::not_here("what_stacks_and_registers_point_at_is_there", "the scenario is for 64 bits");
    }
    let target = machine::start(&["pointers", "4"]);
    let (plain, dump) = (machine::dump(&target), machine::dump_with(&target, ["--memory", "indirect"]));
    let (plain, memory) = (Memory::of(&plain), Memory::of(&dump));
    for thread in threads(&target) {
        for fact in targets(&thread) {
            assert!(memory.has(&fact), "{fact}");
            assert!(!plain.has(&fact), "it would not be there otherwise: {fact}");
        }
    }
    let address = target.number("hidden") ^ target.number("mask");
    let expected = end_to_end::target::bytes(&target.facts);
    assert_eq!(dump.memory(address, expected.len()), Some(expected), "what a register points at");
}

#[test]
fn all_memory_is_all_that_can_be_read() {
    let mut target = machine::start(&["memory"]);
    let dump = machine::dump_with(&target, ["--memory", "full"]);
    for fact in target.facts["patterns"].as_array().unwrap() {
        let (address, expected) = pattern(fact);
        assert_eq!(dump.memory(address, expected.len()), Some(expected), "at {address:#x}");
    }
    let hidden = dump.memory(target.number("hidden"), 16);
    assert!(hidden.is_none_or(|bytes| bytes == [0; 16]), "a page that cannot be read");
    let again = machine::dump_with(&target, ["--memory", "full"]);
    assert_eq!(
        again.memory(target.number("guarded"), 16).is_some(),
        dump.memory(target.number("guarded"), 16).is_some(),
        "the guard is as it was"
    );
    dump.assert_parked(&target.parked());
    assert_eq!(target.ask("ping")["pong"], true);
}

#[test]
fn memory_that_is_asked_for_is_there() {
    let target = machine::start(&["memory"]);
    let fact = &target.facts["patterns"][2];
    let (address, expected) = pattern(fact);
    assert_eq!(machine::dump(&target).memory(address, expected.len()), None, "nothing points there");
    let range = format!("{:#x}:{}", number(fact, "address"), expected.len());
    let dump = machine::dump_with(&target, ["--app-memory", &range]);
    assert_eq!(dump.memory(address, expected.len()), Some(expected));
}
