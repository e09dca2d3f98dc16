//! Has GNU's linker give the program an id, as Microsoft's does: a CodeView record with a GUID of the contents.

use std::env;

fn main() {
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "windows") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg=-Wl,--build-id");
    }
    println!("cargo:rerun-if-changed=build.rs");
}
