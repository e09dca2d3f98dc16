//! Programs that the tests need. `cargo xtask apple` installs them all.

use end_to_end::{needs, programs};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Where the tools are.
#[derive(Debug)]
pub struct Tools {
    /// Compiles C for macOS.
    pub clang: PathBuf,
    /// Links Mach-O files.
    pub linker: PathBuf,
    /// Collects debug information.
    pub dsymutil: PathBuf,
    /// Says which pointers of a Mach-O file dyld fills in.
    pub objdump: PathBuf,
    /// Joins files for several processors.
    pub lipo: PathBuf,
    /// Runs the emulator.
    pub python: PathBuf,
    /// What `cargo xtask apple` fetched from the Python registry: the folders `emulator` and `wheels`.
    pub fetched: PathBuf,
    /// The debugger.
    pub lldb: PathBuf,
    /// Reads minidumps.
    pub stackwalk: PathBuf,
    /// Makes symbol files for it.
    pub dump_syms: PathBuf,
}

/// The tools, or `None`, and a word about it, where one is missing. Fails the test then where `CI=true`.
pub fn find(test: &str) -> Option<&'static Tools> {
    static FOUND: OnceLock<Result<Tools, String>> = OnceLock::new();
    match FOUND.get_or_init(look) {
        Ok(tools) => Some(tools),
        Err(what) => {
            needs::missing(test, &format!("there is no {what}; `cargo xtask apple` installs it"));
            None
        }
    }
}

fn look() -> Result<Tools, String> {
    let one = |variable: &str, names: &[&str]| programs::reader(variable, names).ok_or(names.join(" or "));
    let stackwalk = one("MINIDUMP_STACKWALK", &["minidump-stackwalk"])?;
    Ok(Tools {
        clang: one("CLANG", &["clang-19", "clang"])?,
        linker: one("LD64_LLD", &["ld64.lld-19", "ld64.lld"])?,
        dsymutil: one("DSYMUTIL", &["dsymutil-19", "dsymutil"])?,
        objdump: one("LLVM_OBJDUMP", &["llvm-objdump-19", "llvm-objdump"])?,
        lipo: one("LLVM_LIPO", &["llvm-lipo-19", "llvm-lipo"])?,
        python: one("PYTHON3", &["python3"])?,
        fetched: fetched()?,
        lldb: one("LLDB", &["lldb-19", "lldb"])?,
        stackwalk,
        dump_syms: one("DUMP_SYMS", &["dump_syms"])?,
    })
}

/// `target/tools/apple`.
fn fetched() -> Result<PathBuf, String> {
    let folder = target().join("tools/apple");
    let is_whole = ["emulator", "real", "wheels"].iter().all(|part| folder.join(part).is_dir());
    if is_whole { Ok(folder) } else { Err(format!("emulator, wheels or real dumps in {}", folder.display())) }
}

/// Cargo's target folder: three levels above the running test.
pub fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_path_buf()
}
