//! Many different shared libraries for the target to load.

use super::os;
use crate::{
    places,
    shell::{self, Doing, Outcome},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const SOURCE: &str = r#"#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> u32 { 42 }
"#;

/// Builds the library whose copies [`load`] loads.
pub fn build(folder: &Path) -> Outcome {
    let source = folder.join("library.rs");
    fs::write(&source, SOURCE).doing(format_args!("could not write {}", source.display()))?;
    let mut rustc = shell::program("rustc");
    rustc.args(["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort", "-o"]).arg(original()).arg(source);
    shell::run(&mut rustc)
}

/// Loads `count` copies, each from a file of its own, into this process.
pub fn load(count: usize) -> Outcome {
    if count == 0 {
        return Ok(());
    }
    let folder = places::target().join("bench/libraries");
    fs::create_dir_all(&folder).doing(format_args!("could not create {}", folder.display()))?;
    for number in 0..count {
        let copy = folder.join(format!("library-{number}.so"));
        fs::copy(original(), &copy).doing(format_args!("could not write {}", copy.display()))?;
        os::load_library(&copy)?;
    }
    Ok(())
}

fn original() -> PathBuf {
    places::target().join("bench/library.so")
}
