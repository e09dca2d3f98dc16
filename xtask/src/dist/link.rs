//! Linking a static program with the system's musl, where the toolchain brings none of its own.
//!
//! A toolchain that has the target also has what every program starts with, musl, and an unwinder. Where the standard
//! library is built from source, they come from Debian's packages: `rcrt1.o` and `libc.a` from `musl-dev`, the unwinder
//! from gcc's `libgcc_eh.a`. That one was built for glibc; `musl_gaps.c` has what it misses in musl.
//!
//! The linker is LLVM's, which takes functions of the same code for one, and packs the list of what has to be adjusted to the
//! load address, which `start.c` unpacks: together a hundred kilobytes.

use super::order;
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

/// Where the program begins (`start.c`), and how its list of addresses is packed; equal functions are one.
const SMALLER: [&str; 5] =
    ["-fuse-ld=lld", "-Wl,-e,start_packed", "-Wl,-z,pack-relative-relocs", "-Wl,--icf=all", "-Wl,-O2"];

/// Arguments for rustc that link the program.
pub fn arguments() -> Outcome<Vec<String>> {
    setup::musl_compiler()?;
    let folder = cross::folder().join("musl");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    unwinder(&folder)?;
    linker(&folder)?;
    let link = |argument: String| format!("-Clink-arg={argument}");
    let mut arguments = vec!["-Clink-self-contained=no".to_owned()];
    arguments.push(format!("-Clinker={}", order::linker(&folder)?.display()));
    // The linker has a name of its own, which says nothing of how to talk to it.
    arguments.push("-Clinker-flavor=gcc".to_owned());
    arguments.push(format!("-Lnative={}", folder.display()));
    arguments.push(format!("-Lnative={MUSL}"));
    arguments.push(link("-nostartfiles".to_owned()));
    arguments.extend(START.iter().map(|object| link(format!("{MUSL}/{object}"))));
    arguments.push(link(compiled("start", &folder)?.display().to_string()));
    arguments.push(link(format!("-B{}", folder.display())));
    arguments.extend(SMALLER.map(|argument| link(argument.to_owned())));
    arguments.extend(WANTED.iter().map(|function| link(format!("-Wl,-u,{function}"))));
    // Once more, for what the objects above need. The search goes back to shared libraries before these arguments.
    arguments.extend(["-Wl,-Bstatic", "-lunwind", "-lc"].map(|argument| link(argument.to_owned())));
    Ok(arguments)
}

/// Puts LLVM's linker into `folder` by the name that gcc looks for.
fn linker(folder: &Path) -> Outcome {
    let versions = (14..40).rev().map(|version| format!("ld.lld-{version}"));
    let find =
        || std::iter::once("ld.lld".to_owned()).chain(versions.clone()).find_map(|name| shell::find(&name));
    if find().is_none() {
        setup::lld()?;
    }
    let found = find().ok_or("LLVM's linker was installed, but there is no ld.lld")?;
    let name = folder.join("ld.lld");
    let _ = fs::remove_file(&name);
    std::os::unix::fs::symlink(&found, &name).doing(format_args!("could not link {}", name.display()))
}

/// Compiles one of the files in C here.
fn compiled(name: &str, folder: &Path) -> Outcome<PathBuf> {
    let object = folder.join(format!("{name}.o"));
    let mut compiler = shell::program("x86_64-linux-musl-gcc");
    compiler.args(["-Os", "-fPIC", "-ffunction-sections", "-fno-stack-protector"]);
    compiler.args(["-Wall", "-Wextra", "-Werror", "-c"]).arg(format!("xtask/src/dist/{name}.c"));
    shell::run(compiler.arg("-o").arg(&object))?;
    Ok(object)
}

/// Compiles one of the files in C here into a program for this machine.
pub fn host_tool(name: &str, folder: &Path) -> Outcome<PathBuf> {
    let program = folder.join(name);
    let mut compiler = shell::program("gcc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-Werror"]).arg(format!("xtask/src/dist/{name}.c"));
    shell::run(compiler.arg("-o").arg(&program))?;
    Ok(program)
}

/// Makes the `libunwind.a` that the standard library asks for in `folder`.
fn unwinder(folder: &Path) -> Outcome {
    let library = folder.join("libunwind.a");
    let gaps = compiled("musl_gaps", folder)?;
    let found = shell::answer(Command::new("gcc").arg("-print-file-name=libgcc_eh.a")).unwrap_or_default();
    let of_gcc = Path::new(found.trim());
    fs::read(of_gcc)
        .and_then(|archive| fs::write(&library, archive))
        .doing(format_args!("could not copy gcc's unwinder {}", of_gcc.display()))?;
    shell::run(shell::program("ar").arg("r").arg(&library).arg(&gaps))
}
