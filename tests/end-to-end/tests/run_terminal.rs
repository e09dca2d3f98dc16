//! `minidump-writer run` on a terminal: whoever sits at it sees the same with and without it. Each test does the same twice,
//! and compares the whole screen.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use end_to_end::around::{Around, alike};
use end_to_end::needs;
use end_to_end::process::wait_until;
use end_to_end::terminal::Terminal;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

fn has_tmux(test: &str) -> bool {
    needs::program(test, &["tmux"], "tmux").is_some() && needs::program(test, &["bash"], "bash").is_some()
}

/// The screen without what bash tells when it finds the time to, and without process ids.
fn screen(terminal: &Terminal) -> String {
    let screen = terminal.screen();
    let lines =
        screen.lines().filter(|line| !line.is_empty() && !line.starts_with("bash: warning: wait_for_job"));
    let lines = lines.filter(|line| !line.starts_with("[1]+  Stopped"));
    let lines = lines.map(|line| match line.split_once("] ") {
        Some((job, id)) if job.starts_with('[') && id.parse::<u32>().is_ok() => format!("{job}] ID"),
        // A command that a signal has killed ends the supervisor with the code that shells give it.
        _ => line.replace("Exit 143  ", "Terminated"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A program that tells when it reads from the terminal, and then tells what it reads: `w ./talk`.
fn talk(around: &Around) {
    let program = around.work().join("talk");
    fs::write(&program, "#!/bin/sh\necho ready\nexec cat\n").unwrap();
    fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn stopping_a_command_and_going_on_with_it() {
    if !has_tmux("stopping_a_command_and_going_on_with_it") {
        return;
    }
    let seen = alike(|around| {
        talk(around);
        let terminal = Terminal::open(around);
        terminal.enter("w ./talk");
        terminal.wait_for_end("talk\nready");
        terminal.enter("one");
        terminal.wait_for_end("one\none");
        terminal.press("C-z");
        terminal.wait_for_prompt(2);
        terminal.enter("echo $?; jobs");
        terminal.wait_for_prompt(3);
        terminal.enter("fg");
        terminal.wait_for_end("fg\nw ./talk");
        terminal.enter("two");
        terminal.wait_for_end("two\ntwo");
        terminal.press("C-z");
        terminal.wait_for_prompt(4);
        // It reads, so in the background it is stopped again.
        terminal.enter("bg");
        terminal.wait_for_prompt(5);
        terminal.enter("wait %1; echo $?");
        terminal.wait_for_prompt(6);
        terminal.enter("fg %1");
        terminal.wait_for_end("fg %1\nw ./talk");
        terminal.enter("three");
        terminal.wait_for_end("three\nthree");
        terminal.press("C-d");
        terminal.wait_for_prompt(7);
        terminal.enter("echo $?; jobs");
        terminal.wait_for_prompt(8);
        screen(&terminal)
    });
    assert!(seen.contains("\n148\n") && seen.contains("\n149\n"), "{seen}");
    assert!(seen.ends_with("? echo $?; jobs\n0\n?"), "{seen}");
}

#[test]
fn interrupting_and_quitting_from_the_keyboard() {
    if !has_tmux("interrupting_and_quitting_from_the_keyboard") {
        return;
    }
    let seen = alike(|around| {
        talk(around);
        let terminal = Terminal::open(around);
        terminal.enter("w ./talk");
        terminal.wait_for_end("talk\nready");
        terminal.enter("one");
        terminal.wait_for_end("one\none");
        terminal.press("C-c");
        terminal.wait_for_prompt(2);
        terminal.enter("echo $?");
        terminal.wait_for_prompt(3);
        // A program that handles it gets it once.
        terminal.enter(
            "w sh -c 'trap \"echo caught; exit 9\" INT QUIT; echo ready; while :; do sleep 0.01; done'",
        );
        terminal.wait_for_end("\nready");
        terminal.press("C-c");
        terminal.wait_for_prompt(4);
        terminal.enter("echo $?; while :; do w sh -c 'echo ready; exec sleep 1000'; done; echo not here");
        terminal.wait_for_end("\nready");
        terminal.press("C-c");
        terminal.wait_for_prompt(5);
        terminal.enter("echo $?");
        terminal.wait_for_prompt(6);
        terminal.enter("w sh -c 'trap \"\" QUIT; echo ready; read line; echo got $line'");
        terminal.wait_for_end("\nready");
        terminal.press("C-\\");
        terminal.enter("it");
        terminal.wait_for_prompt(7);
        screen(&terminal)
    });
    assert!(seen.contains("\n130\n") && seen.contains("caught\n?") && seen.contains("got it"), "{seen}");
}

#[test]
fn jobs_in_the_background_and_signals_to_them() {
    if !has_tmux("jobs_in_the_background_and_signals_to_them") {
        return;
    }
    let seen = alike(|around| {
        let terminal = Terminal::open(around);
        let line = |number, line: &str| {
            terminal.enter(line);
            terminal.wait_for_prompt(number);
        };
        line(2, "w sleep 1000 &");
        line(3, "kill -STOP %1; wait %1; echo $?; jobs");
        line(4, "kill -CONT %1; jobs");
        line(5, "kill -TSTP %1; wait %1; echo $?");
        line(6, "kill -CONT %1; kill -TERM -- -$!; wait -f %1; echo $?");
        line(7, "w sh -c 'exit 3' & wait -f $!; echo $?");
        line(8, "w sh -c 'sleep 1000 & kill $!; wait $! 2> told; echo $?' 2> told");
        screen(&terminal)
    });
    assert!(seen.contains("\n147\n") && seen.contains("\n148\n") && seen.contains("\n143\n"), "{seen}");
}

/// A shell with jobs of its own, under the supervisor, moves into a process group of its own.
#[test]
fn an_interactive_shell_as_the_command() {
    if !has_tmux("an_interactive_shell_as_the_command") {
        return;
    }
    let seen = alike(|around| {
        talk(around);
        let terminal = Terminal::open(around);
        terminal.enter("w bash --norc --noprofile -i");
        terminal.wait_for_prompt(2);
        terminal.enter("./talk");
        terminal.wait_for_end("talk\nready");
        terminal.enter("one");
        terminal.wait_for_end("one\none");
        terminal.press("C-z");
        terminal.wait_for_prompt(3);
        terminal.enter("jobs; fg");
        terminal.wait_for_end("talk\n./talk");
        terminal.enter("two");
        terminal.wait_for_end("two\ntwo");
        terminal.press("C-c");
        terminal.wait_for_prompt(4);
        terminal.enter("echo $?; suspend");
        terminal.wait_for_prompt(5);
        terminal.enter("echo $?; jobs");
        terminal.wait_for_prompt(6);
        terminal.enter("fg");
        terminal
            .wait_for("the inner shell", |screen| screen.contains("? fg\nw bash") && screen.ends_with("\n?"));
        terminal.enter("set -m; sh -c 'kill -STOP $$; exit 8'; jobs; fg; echo $?");
        terminal.wait_for("the end of the job", |screen| screen.contains("\n8\n") && screen.ends_with("\n?"));
        terminal.enter("exit 5");
        terminal.wait_for("the end of the shell", |screen| {
            screen.contains("exit 5\nexit\n") && screen.ends_with("\n?")
        });
        terminal.enter("echo code $?; ./talk");
        terminal.wait_for_end("talk\ncode 5\nready");
        terminal.enter("three");
        terminal.wait_for_end("three\nthree");
        terminal.press("C-c");
        terminal.wait_for("the last prompt", |screen| screen.ends_with("^C\n?"));
        screen(&terminal)
    });
    assert!(seen.contains("code 5\n") && seen.contains("suspend\n"), "{seen}");
}

#[test]
fn the_settings_of_the_terminal_are_as_without() {
    if !has_tmux("the_settings_of_the_terminal_are_as_without") {
        return;
    }
    let seen = alike(|around| {
        let terminal = Terminal::open(around);
        let line = |number, line: &str| {
            terminal.enter(line);
            terminal.wait_for_prompt(number);
        };
        line(2, "stty -a > 1; w true; stty -a > 2; w stty -a > 3; w sh -c 'stty -ixon tostop'; stty -a > 4");
        line(3, "w sh -c 'echo written in spite of tostop'; w stty sane; stty -a > 5");
        line(4, "w sh -c 'tty > /dev/null && test -t 0 -a -t 1 -a -t 2; echo $?; stty size'");
        let settings = |number: usize| fs::read_to_string(around.work().join(number.to_string())).unwrap();
        (screen(&terminal), (1..=5).map(settings).collect::<Vec<_>>())
    });
    let settings = seen.1;
    assert!(settings[0].contains("speed") && settings[0] == settings[1] && settings[0] == settings[2]);
    assert!(settings[3].contains("-ixon") && settings[3].contains(" tostop"), "{}", settings[3]);
    assert!(seen.0.contains("\n0\n40 100"), "{}", seen.0);
}

#[test]
fn an_editor_on_the_whole_screen() {
    let test = "an_editor_on_the_whole_screen";
    if !has_tmux(test) {
        return;
    }
    let Some(vim) = needs::program(test, &["vim", "vim.tiny"], "vim-tiny") else { return };
    let vim = vim.display();
    let seen = alike(|around| {
        let terminal = Terminal::open(around);
        terminal.enter(&format!("stty -a > before; w {vim} -N -u NONE -i NONE --cmd 'set showmode' text"));
        terminal.wait_for("the editor", |screen| screen.contains("\n~\n"));
        terminal.write("ifirst line");
        terminal.press("Enter");
        terminal.write("second");
        terminal.wait_for("insert mode", |screen| screen.contains("INSERT") && screen.contains("second"));
        let inserting = terminal.screen();
        terminal.resize(60, 20);
        terminal.wait_for("20 lines", |screen| {
            screen.lines().count() == 20 && screen.lines().last().is_some_and(|line| line.contains("INSERT"))
        });
        let smaller = terminal.screen();
        terminal.press("Escape");
        // vim takes what follows an escape at once for a key of its own.
        terminal.wait_for("normal mode", |screen| !screen.contains("INSERT"));
        terminal.enter(":set columns? lines?");
        terminal.wait_for("its size", |screen| screen.contains("columns=60"));
        terminal.enter("");
        terminal.wait_for("normal mode", |screen| !screen.contains("columns=60"));
        terminal.press("C-z");
        terminal.wait_for("the shell", |screen| screen.contains("Stopped") && screen.ends_with("\n?"));
        terminal.enter("echo $?; fg");
        terminal.wait_for("the editor", |screen| screen.starts_with("first line\nsecond\n~"));
        terminal.enter(":wq");
        terminal.wait_for("the shell", |screen| screen.contains("\n148\n") && screen.ends_with("\n?"));
        terminal.enter("clear; echo left $?; stty -a > after");
        terminal.wait_for_end("left 0\n?");
        let read = |name| fs::read_to_string(around.work().join(name)).unwrap();
        let settings = read("after").replace("rows 20; columns 60", "rows 40; columns 100");
        assert_eq!(settings, read("before"), "the terminal is as it was");
        (inserting, smaller, read("text"))
    });
    assert_eq!(seen.2, "first line\nsecond\n");
    assert!(seen.0.starts_with("first line\nsecond\n~") && seen.0.lines().count() == 40, "{}", seen.0);
}

/// When a terminal goes, the kernel tells the process that leads its session, and no other.
#[test]
fn a_command_in_place_of_the_shell_is_told_of_the_hangup() {
    if !has_tmux("a_command_in_place_of_the_shell_is_told_of_the_hangup") {
        return;
    }
    alike(|around: &Around| {
        let script = "trap \"echo told >> told; exit\" HUP; echo ready; while :; do sleep 0.01; done";
        let terminal = Terminal::open_with(around, &format!("w sh -c '{script}'"));
        terminal.wait_for_end("ready");
        terminal.hang_up();
        let told = around.work().join("told");
        wait_until("the hangup", || fs::read_to_string(&told).is_ok_and(|text| text.ends_with('\n')));
        fs::read_to_string(&told).unwrap()
    });
}
