//! `cargo xtask dist`: the program as one static file that runs on any Linux of its processor.

mod link;
mod order;
mod proof;

use crate::{
    cross::{self, Compiler},
    places, setup,
    shell::{self, Doing, Outcome},
};
use std::{fs, path::PathBuf};

const TARGET: &str = "x86_64-unknown-linux-musl";
/// Its name, and that of the profile in `Cargo.toml`.
const PROGRAM: &str = "minidump-writer";
const PROFILE: &str = "dist";
/// Largest that the stripped program may be, in bytes.
const LIMIT: u64 = 3_000_000;

/// The standard library without the reader of debug information for backtraces, which a stripped program has no use for,
/// and with the smaller ones of its algorithms (library/sysroot/Cargo.toml of Rust's sources).
const STANDARD_LIBRARY: &str = "-Zbuild-std-features=panic-unwind,optimize_for_size";

/// For zstd's C: the program compresses at one level, so what searches harder is left out; it decompresses any. No panic
/// passes through C, so its frames need not be known to the unwinder.
const C_FLAGS: &[&str] = &[
    "-fno-asynchronous-unwind-tables",
    "-DDYNAMIC_BMI2=0",
    "-DHUF_FORCE_DECOMPRESS_X1",
    "-DZSTD_EXCLUDE_GREEDY_BLOCK_COMPRESSOR",
    "-DZSTD_EXCLUDE_LAZY_BLOCK_COMPRESSOR",
    "-DZSTD_EXCLUDE_LAZY2_BLOCK_COMPRESSOR",
    "-DZSTD_EXCLUDE_BTLAZY2_BLOCK_COMPRESSOR",
    "-DZSTD_EXCLUDE_BTOPT_BLOCK_COMPRESSOR",
    "-DZSTD_EXCLUDE_BTULTRA_BLOCK_COMPRESSOR",
];

/// Builds the program and says where it is.
pub fn run(_: &[String]) -> Outcome {
    let program = build()?;
    let size = size(&program)?;
    println!("{}: {size} bytes", program.display());
    within_limit(size)
}

pub use order::link as link_in_order;

/// Builds the program and shows that it is what it should be.
pub fn check() -> Outcome {
    run(&[])?;
    proof::check(&path())
}

fn path() -> PathBuf {
    places::target().join("dist").join(PROGRAM)
}

/// Builds it and says where it is.
pub fn build() -> Outcome<PathBuf> {
    setup::musl_compiler()?;
    // A standard library that is built for size makes a smaller program than the one that comes with a toolchain.
    let compiler = cross::from_source().map_or_else(|| cross::compiler_for(TARGET), Ok)?;
    let mut command = compiler.cargo("rustc", TARGET);
    command.args(["--profile", PROFILE, "--package", "minidump-cli", "--bin", PROGRAM]);
    command.env(format!("CFLAGS_{}", TARGET.replace('-', "_")), C_FLAGS.join(" "));
    if let Compiler::FromSource(_) = compiler {
        command.args([STANDARD_LIBRARY, "--"]).args(link::arguments()?);
    }
    shell::run(&mut command)?;
    let built = cross::folder().join(TARGET).join(PROFILE).join(PROGRAM);
    let path = path();
    let folder = places::target().join("dist");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    // A new file: one that is being run cannot be written to.
    let _ = fs::remove_file(&path);
    fs::copy(&built, &path).doing(format_args!("could not copy {}", built.display()))?;
    Ok(path)
}

fn size(program: &std::path::Path) -> Outcome<u64> {
    let found = fs::metadata(program).doing(format_args!("could not look at {}", program.display()))?;
    Ok(found.len())
}

fn within_limit(size: u64) -> Outcome {
    if size <= LIMIT {
        return Ok(());
    }
    Err(format!("the program has {size} bytes, more than {LIMIT}; see what takes them with `nm --size-sort`")
        .into())
}
