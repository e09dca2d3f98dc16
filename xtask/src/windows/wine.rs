//! Wine, which runs programs for Windows.

use crate::{
    places, setup,
    shell::{self, Doing, Outcome},
};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A library of Windows that Rust's standard library takes random numbers from. Wine has it since version 10.
const RANDOM: &str = "bcryptprimitives.dll";
/// What stands in for it: `ProcessPrng`, by way of the function that Wine has (`RtlGenRandom`).
const RANDOM_SOURCE: &str = "#include <stddef.h>
unsigned char __stdcall SystemFunction036(void *buffer, unsigned long size);
int __stdcall ProcessPrng(unsigned char *buffer, size_t size) {
    return SystemFunction036(buffer, (unsigned long)size);
}
";

/// A Wine with a prefix, which is the disk and the registry of a Windows, of its own.
pub struct Wine {
    /// The folder that it takes for the root of the file system.
    root: Option<PathBuf>,
    /// What is started instead of `wine`: the same arguments follow.
    runner: PathBuf,
    /// The same for its server.
    server: PathBuf,
    /// As Wine sees it.
    prefix: PathBuf,
    /// `win64` or `win32`.
    kind: &'static str,
    /// What compiles for it.
    compiler: &'static str,
}

impl Wine {
    /// The system's Wine, for programs of 64 bits, ready to run programs in Rust.
    pub fn ready() -> Outcome<Self> {
        setup::wine()?;
        setup::windows_compiler("x86_64")?;
        let wine = Self {
            root: None,
            runner: "wine".into(),
            server: "wineserver".into(),
            prefix: places::root().join(places::tools()).join("wine"),
            kind: "win64",
            compiler: "x86_64-w64-mingw32-gcc",
        };
        wine.make_ready()?;
        Ok(wine)
    }

    /// One of 32 bits below `root`, by scripts that run it and its server there.
    pub fn below(root: &Path, runner: PathBuf, server: PathBuf) -> Outcome<Self> {
        setup::windows_compiler("i686")?;
        let wine = Self {
            root: Some(root.to_owned()),
            runner,
            server,
            prefix: "/wine".into(),
            kind: "win32",
            compiler: "i686-w64-mingw32-gcc",
        };
        wine.make_ready()?;
        Ok(wine)
    }

    /// What runs a program: its path and its arguments follow.
    pub fn runner(&self) -> &Path {
        &self.runner
    }

    /// Has `command`, and what it starts, use this Wine without its messages, and without programs that nobody here needs: the
    /// debugger, for one, would keep what crashes. Their temporary files are where Wine sees them.
    pub fn apply(&self, command: &mut Command) {
        command.env("WINEPREFIX", &self.prefix).env("WINEARCH", self.kind).env("WINEDEBUG", "-all");
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe,winedbg.exe=");
        if let Some(root) = &self.root {
            command.env("TMPDIR", root.join("tmp"));
        }
    }

    /// Puts programs where Wine sees them. Returns the folder as it does.
    pub fn admit<'a>(&self, folder: &Path, programs: impl Iterator<Item = &'a str>) -> Outcome<PathBuf> {
        let Some(root) = &self.root else { return Ok(folder.to_owned()) };
        let inside = root.join("programs");
        fs::create_dir_all(&inside).doing(inside.display())?;
        for program in programs {
            fs::copy(folder.join(program), inside.join(program)).doing(program)?;
        }
        Ok("/programs".into())
    }

    /// Has Wine's server run until the guard goes: the first program would start it otherwise, and it would hold what that one
    /// writes to.
    pub fn serve(&self) -> Outcome<Server<'_>> {
        self.tell_server("--persistent")?;
        let server = Server(self);
        self.run(&["wineboot".into()])?;
        Ok(server)
    }

    /// The prefix from outside.
    fn prefix_here(&self) -> PathBuf {
        let Some(root) = &self.root else { return self.prefix.clone() };
        root.join(self.prefix.strip_prefix("/").unwrap_or(&self.prefix))
    }

    /// Makes the prefix a Windows that can run programs in Rust.
    fn make_ready(&self) -> Outcome {
        let libraries = self.prefix_here().join("drive_c/windows/system32");
        if !libraries.is_dir() {
            let prefix = self.prefix_here();
            fs::create_dir_all(&prefix).doing(prefix.display())?;
            self.run(&["wineboot".into(), "--init".into()])?;
        }
        if libraries.join(RANDOM).exists() { Ok(()) } else { self.add_random(&libraries) }
    }

    /// Adds the library that older Wine lacks.
    fn add_random(&self, libraries: &Path) -> Outcome {
        let source = places::tools().join("process_prng.c");
        fs::write(&source, RANDOM_SOURCE).doing(source.display())?;
        let mut compiler = shell::program(self.compiler);
        compiler.args(["-shared", "-O1", "-o"]).arg(libraries.join(RANDOM)).arg(&source);
        shell::run(compiler.args(["-ladvapi32", "-Wl,--export-all-symbols", "-Wl,--kill-at"]))
    }

    /// Runs a program of Wine's own. What it leaves running for a while must not hold our output.
    fn run(&self, words: &[OsString]) -> Outcome {
        let mut command = shell::program(&self.runner);
        self.apply(command.args(words).stdout(Stdio::null()).stderr(Stdio::null()));
        if let Some(root) = &self.root {
            command.current_dir(root);
        }
        shell::run(&mut command)
    }

    fn tell_server(&self, word: &str) -> Outcome {
        let mut command = shell::program(&self.server);
        self.apply(command.arg(word).stdout(Stdio::null()).stderr(Stdio::null()));
        shell::run(&mut command)
    }
}

/// A running server of Wine, and all that runs below it: they end when the guard goes.
pub struct Server<'a>(&'a Wine);

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if let Err(failure) = self.0.tell_server("--kill") {
            eprintln!("xtask: {failure}");
        }
    }
}
