//! A terminal with somebody at its keys: a tmux server of its own.

use crate::around::Around;
use crate::process::{self, DEADLINE};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Between two looks at the screen, each of which starts a program.
const PAUSE: Duration = Duration::from_millis(5);
/// What the shell on the terminal shows when it waits for a line.
const PROMPT: &str = "? ";

/// A terminal of 100 × 40 characters on which bash runs. The server, and all that runs in it, ends with this.
#[derive(Debug)]
pub struct Terminal {
    folder: TempDir,
    /// For what is said of a test that fails.
    with: &'static str,
}

impl Terminal {
    /// Opens one, in which the command `w` is that of `around`.
    #[track_caller]
    pub fn open(around: &Around) -> Self {
        let terminal = Self::open_with(around, "bash --norc --noprofile -i");
        terminal.wait_for("the shell", |screen| screen == PROMPT.trim_end());
        terminal
    }

    /// Opens one on which `command`, of a shell, runs in place of a shell.
    #[track_caller]
    pub fn open_with(around: &Around, command: &str) -> Self {
        let with = if around.is_supervised() { "with" } else { "without" };
        let terminal = Self { folder: tempfile::tempdir().unwrap(), with };
        let settings = terminal.folder.path().join("settings");
        // The window stays when its command has ended, so that its last screen can be read.
        fs::write(&settings, "set -g remain-on-exit on\nset -g status off\n").unwrap();
        let mut start = terminal.tmux(&["new-session", "-d", "-x", "100", "-y", "40"]);
        start.arg(format!("exec {command}")).current_dir(around.work());
        start.env("PATH", around.search_path()).env("PS1", PROMPT).env("HISTFILE", "").env("LC_ALL", "C");
        start.env_remove("TMUX").env("SHELL", "/bin/sh");
        process::run(&mut start).expect_success("tmux");
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.folder.path().join("socket"));
        command.arg("-f").arg(self.folder.path().join("settings")).args(arguments);
        command
    }

    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        let finished = process::run(&mut self.tmux(arguments)).expect_success("tmux");
        String::from_utf8_lossy(&finished.stdout).into_owned()
    }

    /// Types these characters.
    #[track_caller]
    pub fn write(&self, text: &str) {
        self.ask(&["send-keys", "-l", "--", text]);
    }

    /// Presses a key by tmux's name for it, such as `C-z`.
    #[track_caller]
    pub fn press(&self, key: &str) {
        self.ask(&["send-keys", key]);
    }

    /// Types a line.
    #[track_caller]
    pub fn enter(&self, line: &str) {
        self.write(line);
        self.press("Enter");
    }

    /// What is on the screen now, without empty lines at its end.
    #[track_caller]
    pub fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"]).trim_end().to_owned()
    }

    /// Waits until the screen is such.
    #[track_caller]
    pub fn wait_for(&self, what: &str, is_such: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let screen = self.screen();
            if is_such(&screen) {
                return screen;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "{} a supervisor, waited too long for {what} on this screen:\n{screen}",
                self.with
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits until the screen ends like this.
    #[track_caller]
    pub fn wait_for_end(&self, end: &str) -> String {
        self.wait_for(&format!("{end:?} at the end"), |screen| screen.ends_with(end))
    }

    /// Waits until the shell waits for line `number` of those that were entered, counted from one.
    #[track_caller]
    pub fn wait_for_prompt(&self, number: usize) -> String {
        let prompt = PROMPT.trim_end();
        self.wait_for(&format!("prompt {number}"), |screen| {
            let prompts = screen.lines().filter(|line| line.starts_with(prompt)).count();
            prompts == number && screen.ends_with(&format!("\n{prompt}"))
        })
    }

    /// Gives it another size.
    #[track_caller]
    pub fn resize(&self, columns: u16, lines: u16) {
        self.ask(&["resize-window", "-x", &columns.to_string(), "-y", &lines.to_string()]);
    }

    /// Takes it away, as when its window is closed: the kernel sends SIGHUP.
    #[track_caller]
    pub fn hang_up(&self) {
        self.ask(&["kill-server"]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux(&["kill-server"]).output();
    }
}
