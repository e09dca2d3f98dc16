//! The C interface (`crates/minidump-capi`): `cargo xtask install-c PREFIX`, and the check that what is installed works.

mod proof;

use crate::{
    places,
    shell::{self, Doing, Outcome},
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name by which the dynamic linker looks for the shared library; `build.rs` of the package writes it there.
const SONAME: &str = "libminidump_writer.so.0";
/// What a program needs besides the static library: `cargo rustc -- --print native-static-libs`, without the C library.
const STATIC_LIBRARIES: [&str; 6] = ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

/// Builds the libraries and the handler, and installs them with the header and what build systems look for.
pub fn install(arguments: &[String]) -> Outcome {
    let [prefix] = arguments else {
        return Err("say where to install to: cargo xtask install-c PREFIX".into());
    };
    // Relative to where the command was given.
    let prefix = std::path::absolute(prefix).doing(format_args!("{prefix} is no path"))?;
    into(&prefix)?;
    println!("{}: header, libraries, minidump-writer, pkg-config and CMake files", prefix.display());
    Ok(())
}

/// Installs into a folder below `target` and tries that out.
pub fn check() -> Outcome {
    let folder = places::target().join("capi");
    let prefix = folder.join("prefix");
    let _ = fs::remove_dir_all(&folder);
    into(&prefix)?;
    proof::check(&folder, &prefix)
}

fn into(prefix: &Path) -> Outcome {
    shell::run(shell::cargo().args(["build", "--release", "--locked", "--package", "minidump-cli"]))?;
    shell::run(shell::cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "minidump-capi",
        "--lib",
    ]))?;
    let made = places::target().join("release");
    let package = places::root().join("crates/minidump-capi");
    let libraries = prefix.join("lib");
    copy(&made.join("minidump-writer"), &prefix.join("bin/minidump-writer"))?;
    copy(&package.join("include/minidump_writer.h"), &prefix.join("include/minidump_writer.h"))?;
    copy(&made.join("libminidump_writer_c.a"), &libraries.join("libminidump_writer.a"))?;
    let shared = format!("libminidump_writer.so.{VERSION}");
    copy(&made.join("libminidump_writer_c.so"), &libraries.join(&shared))?;
    link(&shared, &libraries.join(SONAME))?;
    link(SONAME, &libraries.join("libminidump_writer.so"))?;
    let templates = package.join("install");
    let cmake = libraries.join("cmake/minidump_writer");
    fill(&templates, "minidump_writer.pc", &libraries.join("pkgconfig"), " ")?;
    fill(&templates, "minidump_writer-config.cmake", &cmake, ";")?;
    fill(&templates, "minidump_writer-config-version.cmake", &cmake, ";")
}

/// Completes the template `NAME.in`. `between` is what separates libraries in such files.
fn fill(templates: &Path, name: &str, folder: &Path, between: &str) -> Outcome {
    let template = templates.join(format!("{name}.in"));
    let text = fs::read_to_string(&template).doing(format_args!("could not read {}", template.display()))?;
    let series = VERSION.rsplit_once('.').map_or(VERSION, |(series, _)| series);
    let text = text
        .replace("@VERSION@", VERSION)
        .replace("@SERIES@", series)
        .replace("@SONAME@", SONAME)
        .replace("@STATIC_LIBRARIES@", &STATIC_LIBRARIES.join(between));
    let path = folder.join(name);
    make_room(&path)?;
    fs::write(&path, text).doing(format_args!("could not write {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    make_room(to)?;
    fs::copy(from, to).doing(format_args!("could not copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn link(to: &str, path: &PathBuf) -> Outcome {
    make_room(path)?;
    symlink(to, path).doing(format_args!("could not make the link {}", path.display()))
}

/// Makes the folder, and takes away what is there: a program that runs keeps the old file.
fn make_room(path: &Path) -> Outcome {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).doing(format_args!("could not create {}", folder.display()))?;
    }
    let _ = fs::remove_file(path);
    Ok(())
}
