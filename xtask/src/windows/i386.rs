//! A small Debian of 32 bits with Wine, in a folder: the system itself gets no packages of another architecture.
//!
//! Wine needs /proc there. It is mounted for the programs that run there alone, so nothing stays mounted.

use super::wine::Wine;
use crate::{
    cross, places, setup,
    shell::{self, Doing, Outcome},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Makes it, where that can be done.
pub fn ready() -> Outcome<Wine> {
    let root = places::root().join(places::tools()).join("i386");
    if !root.is_dir() {
        setup::debian_i386(&root)?;
    }
    let runner = write_runner(&root, "i386-wine", "/usr/bin/wine")?;
    let server = write_runner(&root, "i386-wineserver", "/usr/bin/wineserver")?;
    if shell::answer(shell::program(&runner).arg("--version").current_dir(&root)).is_none() {
        return Err("programs of 32 bits, or private mounts, are not allowed here".into());
    }
    Wine::below(&root, runner, server)
}

/// Writes a script that runs `program` below `root`, in the folder that it is started in. It lies beside `root`.
fn write_runner(root: &Path, name: &str, program: &str) -> Outcome<PathBuf> {
    let script = format!(
        r#"#!/bin/sh
exec unshare --mount sh -c '
    mount --rbind /proc "$0/proc" || exit 125
    inside=${{PWD#"$0"}}
    [ "$inside" != "$PWD" ] || inside=/
    PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp exec chroot "$0" /usr/bin/env --chdir="${{inside:-/}}" {program} "$@"
' '{}' "$@"
"#,
        root.display()
    );
    let path = root.with_file_name(name);
    fs::write(&path, script).doing(path.display())?;
    cross::make_executable(&path).doing(path.display())?;
    Ok(path)
}
