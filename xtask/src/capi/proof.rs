//! What is installed works: CMake finds it, pkg-config tells of it, and the programs that are built with them crash into
//! dumps.

use crate::{
    places, setup,
    shell::{self, Outcome},
};
use std::path::Path;

/// Builds and runs the examples with what is installed in `prefix`.
pub fn check(folder: &Path, prefix: &Path) -> Outcome {
    if !setup::cmake()? {
        return Ok(());
    }
    let source = places::root().join("crates/minidump-capi/examples/cmake");
    let build = folder.join("build");
    let mut configure = shell::program("cmake");
    configure.arg("-S").arg(&source).arg("-B").arg(&build).arg("-DCMAKE_BUILD_TYPE=RelWithDebInfo");
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    configure.arg("-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -pedantic");
    configure.arg("-DCMAKE_C_FLAGS=-Wall -Wextra -Werror -pedantic");
    shell::run(&mut configure)?;
    shell::run(shell::program("cmake").arg("--build").arg(&build))?;
    shell::run(shell::program("ctest").arg("--output-on-failure").arg("--test-dir").arg(&build))?;
    by_pkg_config(folder, prefix, &source)
}

/// The example in C once more, as Makefiles do it.
fn by_pkg_config(folder: &Path, prefix: &Path, source: &Path) -> Outcome {
    let mut ask = shell::program("pkg-config");
    ask.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    ask.args(["--cflags", "--libs", "minidump_writer"]);
    let flags = shell::answer(&mut ask).ok_or("pkg-config does not know minidump_writer")?;
    let program = folder.join("dump-by-pkg-config");
    let mut compile = shell::program("cc");
    compile
        .args(["-std=c99", "-D_POSIX_C_SOURCE=200809L"])
        .arg(source.join("dump.c"))
        .arg("-o")
        .arg(&program);
    shell::run(compile.args(flags.split_whitespace()))?;
    let mut run = shell::program(&program);
    shell::run(run.env("LD_LIBRARY_PATH", prefix.join("lib")).arg(folder.join("by-pkg-config.dmp")))
}
