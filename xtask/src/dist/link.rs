//! Linking a static program with the system's musl, where the toolchain brings none of its own.
//!
//! A toolchain that has the target also has what every program starts with, musl, and an unwinder. Where the standard
//! library is built from source, they come from Debian's packages: `rcrt1.o` and `libc.a` from `musl-dev`, the unwinder
//! from gcc's `libgcc_eh.a`. That one was built for glibc; `musl_gaps.c` has what it misses in musl.

use crate::{
    cross, setup,
    shell::{self, Doing, Outcome},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Where Debian's `musl-dev` puts its libraries.
const MUSL: &str = "/usr/lib/x86_64-linux-musl";
/// What a position-independent static program starts with, and the two ends of its initialisation.
const START: [&str; 3] = ["rcrt1.o", "crti.o", "crtn.o"];

/// Functions of musl that `libgcc_eh.a` and the standard library use if they are there. Nothing else would take them out
/// of the archive, and libgcc takes the first for a sign that all of them are.
const WANTED: [&str; 7] = [
    "pthread_key_create",
    "pthread_once",
    "pthread_mutex_lock",
    "pthread_mutex_unlock",
    "pthread_getspecific",
    "pthread_setspecific",
    "gettid",
];

/// Arguments for rustc that link the program.
pub fn arguments() -> Outcome<Vec<String>> {
    setup::musl_compiler()?;
    let unwinder = unwinder()?;
    let link = |argument: String| format!("-Clink-arg={argument}");
    let mut arguments = vec!["-Clink-self-contained=no".to_owned(), "-Clinker=gcc".to_owned()];
    arguments.push(format!("-Lnative={}", unwinder.display()));
    arguments.push(format!("-Lnative={MUSL}"));
    arguments.push(link("-nostartfiles".to_owned()));
    arguments.extend(START.iter().map(|object| link(format!("{MUSL}/{object}"))));
    arguments.extend(WANTED.iter().map(|function| link(format!("-Wl,-u,{function}"))));
    // What is still not there is a null pointer, not a question to a dynamic linker.
    arguments.push(link("-Wl,-z,nodynamic-undefined-weak".to_owned()));
    // Once more, for what the objects above need. The search goes back to shared libraries before these arguments.
    arguments.extend(["-Wl,-Bstatic", "-lunwind", "-lc"].map(|argument| link(argument.to_owned())));
    Ok(arguments)
}

/// Makes the `libunwind.a` that the standard library asks for, and returns the folder that it is in.
fn unwinder() -> Outcome<PathBuf> {
    let folder = cross::folder().join("musl");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    let (gaps, library) = (folder.join("musl_gaps.o"), folder.join("libunwind.a"));
    let mut compiler = shell::program("x86_64-linux-musl-gcc");
    compiler.args(["-Os", "-fPIC", "-ffunction-sections", "-Wall", "-Wextra", "-Werror", "-c"]);
    shell::run(compiler.arg("xtask/src/dist/musl_gaps.c").arg("-o").arg(&gaps))?;
    let found = shell::answer(Command::new("gcc").arg("-print-file-name=libgcc_eh.a")).unwrap_or_default();
    let of_gcc = Path::new(found.trim());
    fs::read(of_gcc)
        .and_then(|archive| fs::write(&library, archive))
        .doing(format_args!("could not copy gcc's unwinder {}", of_gcc.display()))?;
    shell::run(shell::program("ar").arg("r").arg(&library).arg(&gaps))?;
    Ok(folder)
}
